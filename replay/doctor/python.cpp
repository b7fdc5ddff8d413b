// One Python asked about itself, and its packages held against what they say they installed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "replay/doctor/situation.h"
#include "replay/recorder/command_words.h"
#include "replay/recorder/distributions.h"
#include "replay/recorder/file_digests.h"
#include "replay/recorder/program_code.h"
#include "replay/recorder/program_output.h"
#include "replay/recorder/sha256.h"
#include "replay/run/error.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds patience_for_python{20}, patience_for_packages{120};
// Larger libraries are held against RECORD when a recording finds them loaded.
constexpr std::uintmax_t most_bytes = std::uintmax_t{16} << 20;

// It imports the package samestep, which imports no torch.
constexpr const char* question = R"(
import importlib.metadata, importlib.util, json, os, sys
def origin(name):
    try:
        return importlib.util.find_spec(name).origin or ""
    except Exception:
        return ""
try:
    torch = importlib.metadata.version("torch")
except Exception:
    torch = ""
try:
    from samestep._built import TORCH as built
except Exception:
    built = ""
library = os.path.dirname(os.__file__) + os.sep
start = [path for path in map(origin, ("sitecustomize", "usercustomize")) if path and not path.startswith(library)]
print(json.dumps({"executable": sys.executable, "version": sys.version.split()[0], "torch": torch, "built": built, "start": start,
                  "path": [os.path.abspath(entry) for entry in sys.path]}))
)";

std::vector<std::string> texts(const nlohmann::json& answer, const char* key) {
  std::vector<std::string> list;
  for (const nlohmann::json& item : json_array(answer, key, "Python's answer"))
    if (item.is_string()) list.push_back(item.get<std::string>());
  return list;
}

bool is_code(const std::string& path) {
  const fs::path file(path);
  if (file.extension() == ".py") return true;
  std::error_code error;
  const bool library = file.filename().string().find(".so") != std::string::npos;
  const std::uintmax_t size = library ? fs::file_size(file, error) : 0;
  return library && !error && size <= most_bytes;
}

// The packages of one module path: what each says of its files, and what these are.
class Packages {
 public:
  explicit Packages(const std::vector<std::string>& module_path) {
    for (const std::string& folder : module_path)
      for (Distribution& distribution : distributions_in(folder)) distributions_.push_back(std::move(distribution));
  }
  [[nodiscard]] bool installed(const std::string& path) const {
    return std::ranges::any_of(distributions_, [&](const Distribution& d) { return d.files.contains(path); });
  }
  void check(PythonSituation& python) const {
    FileDigests files(ProgramCode::default_cache(), file_sha256);
    for (const Distribution& distribution : distributions_)
      for (const auto& [path, file] : distribution.files)
        if (is_code(path)) files.add(path, "");
    std::map<std::string, FileDigest> found;
    for (FileDigest& file : files.finish(patience_for_packages)) found.emplace(file.path, std::move(file));
    for (const Distribution& distribution : distributions_) judge(distribution, found, python);
  }

 private:
  static void judge(const Distribution& distribution, const std::map<std::string, FileDigest>& found,
                    PythonSituation& python) {
    nlohmann::json changed = nlohmann::json::array();
    for (const auto& [path, file] : distribution.files) {
      const auto at = found.find(path);
      if (at == found.end()) continue;
      if (!at->second.digest)
        ++python.unchecked_files;
      else if (*at->second.digest != file.sha256)
        changed.push_back(file.name);
    }
    if (changed.empty()) return;
    const std::uint64_t count = changed.size();
    const nlohmann::json entry{{"name", distribution.name},
                               {"version", distribution.version},
                               {"changed_files", count},
                               {"changed", std::move(changed)}};
    for (std::string& text : changed_packages({{"distributions", nlohmann::json::array({entry})}}))
      python.changed_packages.push_back(std::move(text));
  }

  std::vector<Distribution> distributions_;
};

PythonSituation understood(const std::string& text) {
  const std::string from = "Python's answer";
  const nlohmann::json answer = parse_json(text, from);
  PythonSituation python;
  python.executable = json_text(answer, "executable", from);
  python.version = json_text(answer, "version", from);
  python.torch = json_text(answer, "torch", from);
  python.built_for = json_text(answer, "built", from);
  const Packages packages(texts(answer, "path"));
  for (std::string& file : texts(answer, "start"))
    if (!packages.installed(file)) python.start_files.push_back(std::move(file));
  packages.check(python);
  return python;
}

}  // namespace

std::string python_of(std::span<const std::string> argv) {
  for (const std::string& word : argv)
    if (is_python(word)) return word;
  return "python3";
}

std::optional<PythonSituation> look_at_python(const std::string& python, const fs::path& cwd) {
  constexpr std::size_t most_answer = std::size_t{1} << 20;
  const std::vector<std::string> words{python, "-c", question};
  const auto answer = output_of(words, cwd, patience_for_python, most_answer);
  if (!answer || answer->cut) return std::nullopt;
  try {
    return understood(answer->text);
  } catch (const BrokenInput&) {
    return std::nullopt;
  }
}

}  // namespace samestep
