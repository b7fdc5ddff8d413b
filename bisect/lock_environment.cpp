#include "bisect/lock_environment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "bisect/json_bytes.h"
#include "kernels/digest.h"
#include "replay/player/folder.h"
#include "replay/recorder/descriptor.h"
#include "replay/recorder/program_output.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/run/run_files.h"
#include "replay/run/strict_json.h"
#include "replay/view/storage.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t most_lock = std::size_t{8} << 20;
constexpr std::size_t most_told = std::size_t{4} << 20;
constexpr std::size_t shown_lines = 3;  // of pip, where it failed
constexpr std::chrono::seconds patience{60};
constexpr const char* complete = "samestep.json";  // written last

constexpr const char* tell_of_base =
    "import json, sys; print(json.dumps({'program': sys.executable, 'version': sys.version, 'packages': [p for p in "
    "sys.path if p.endswith(('site-packages', 'dist-packages'))]}))";
// The first of a name is the one that is imported.
constexpr const char* tell_of_packages =
    "import importlib.metadata as m, json, re, sys\n"
    "found = {}\n"
    "for d in m.distributions():\n"
    "    name = d.metadata['Name']\n"
    "    if name: found.setdefault(re.sub('[-_.]+', '-', name).lower(), d.version or '')\n"
    "print(json.dumps(found))";

std::string python_text(const std::string& text) {
  return json_dump(json(text));  // a JSON string is a Python one
}

// The value of an option of one of these names, as pip takes it: "-r FILE", "-rFILE", "--requirement FILE",
// "--requirement=FILE". `rest`: the words after it.
std::optional<std::string> value_of(const std::string& word, std::istringstream& rest, std::string_view short_name,
                                    std::string_view long_name) {
  std::string value;
  if (word == short_name || word == long_name) return rest >> value ? std::optional(value) : std::nullopt;
  if (word.starts_with(std::string(long_name) + "=")) return word.substr(long_name.size() + 1);
  if (word.starts_with(short_name) && !word.starts_with("--"))
    return word.substr(word[short_name.size()] == '=' ? short_name.size() + 1 : short_name.size());
  return std::nullopt;
}

std::string without_quotes(const std::string& word) {
  const bool quoted = word.size() > 1 && (word.front() == '"' || word.front() == '\'') && word.back() == word.front();
  return quoted ? word.substr(1, word.size() - 2) : word;
}

// What a folder of packages holds: another wheel of the same version is another package. An index is elsewhere.
json packages_in(const fs::path& folder) {
  std::set<json> packages;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    struct stat info {};
    if (::stat(entry->path().c_str(), &info) == 0)
      packages.insert(
          {bytes_to_json(entry->path().filename().native()), info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec});
  }
  return packages;
}

// Of a lock file with all that it includes or takes packages from.
class Contents {
 public:
  void add(const fs::path& file, int depth = 0) {
    constexpr int deepest = 8;
    if (depth > deepest)
      throw BrokenInput(fmt::format("{}: lock files include each other more than {} deep", file.string(), deepest));
    const std::string text = text_of_file(fs::weakly_canonical(file), most_lock);
    texts_.push_back(bytes_to_json(text));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) add_named_in(line, file, depth);
  }
  [[nodiscard]] const json& texts() const { return texts_; }

 private:
  void add_named_in(const std::string& line, const fs::path& file, int depth) {
    std::istringstream words(line);
    for (std::string word; words >> word && !word.starts_with("#");) {
      for (const auto& [short_name, long_name] : {std::pair("-r", "--requirement"), std::pair("-c", "--constraint")})
        if (const auto other = value_of(word, words, short_name, long_name))
          add_included(file.parent_path() / without_quotes(*other), depth);
      if (const auto folder = value_of(word, words, "-f", "--find-links")) {
        std::string place = without_quotes(*folder);
        if (place.starts_with("file://")) place.erase(0, std::string_view("file://").size());
        texts_.push_back(packages_in(file.parent_path() / place));
      }
    }
  }
  // Where it is not there, pip says so.
  void add_included(const fs::path& file, int depth) {
    std::error_code error;
    if (fs::is_regular_file(file, error)) add(file, depth + 1);
  }
  json texts_ = json::array();
};

// Name and version of what the base has: what a lock file does not pin, or pins equal, is taken from there.
json installed_in(const BasePython& base) {
  std::set<std::string> names;
  for (const std::string& packages : base.packages) {
    std::error_code error;
    for (auto entry = fs::directory_iterator(packages, error); !error && entry != fs::directory_iterator();
         entry.increment(error))
      if (entry->path().extension() == ".dist-info" || entry->path().extension() == ".egg-info")
        names.insert(entry->path().filename().string());
  }
  return names;
}

// The folder's own name says what is in it.
std::string name_for(const fs::path& lock, const BasePython& base) {
  Contents contents;
  contents.add(fs::absolute(lock));
  const json key{{"format", 2},
                 {"lock", contents.texts()},
                 {"folder", bytes_to_json(fs::absolute(lock).parent_path().native())},
                 {"base", bytes_to_json(base.program.native())},
                 {"version", base.version},
                 {"packages", base.packages},
                 {"installed", installed_in(base)}};
  return digest(json_dump(key)).hex().substr(0, 32);
}

void need_own_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::create_directories(folder, error)) fs::permissions(folder, fs::perms::owner_all, error);
  struct stat info {};
  if (error || ::stat(folder.c_str(), &info) != 0)
    throw BrokenInput(fmt::format("{}: environments cannot be kept there: {}", folder.string(), error.message()));
  if (info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw BrokenInput(
        fmt::format("{}: it is another user's, or others may write to it: what lies there is run. Take their right "
                    "away (chmod go-w), or set XDG_CACHE_HOME to a folder of your own",
                    folder.string()));
}

std::optional<LockEnvironment> known(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / complete, error)) return std::nullopt;
  const json kept = parse_json(text_of_file(folder / complete, most_told), (folder / complete).string());
  LockEnvironment environment{folder, {}};
  for (const auto& [name, version] : json_object(kept, "packages", (folder / complete).string()).items())
    if (version.is_string()) environment.packages[name] = version.get<std::string>();
  return environment;
}

class Maker {
 public:
  Maker(const fs::path& folder, const LockEnvironmentOptions& options, const fs::path& output)
      : folder_(folder), options_(options), output_(output) {
    options_.limits.ends_when_asked = true;
  }

  Prepared make(const fs::path& lock, const BasePython& base) {
    remove_tree(folder_);
    const std::string python = (folder_ / "bin/python").string();
    if (!run({base.program.string(), "-I", "-m", "venv", "--without-pip", folder_.string()}, {})) return failed_;
    if (!link(python, base)) return failed_;
    if (!output_of(std::vector<std::string>{python, "-I", "-c", "import pip"}, "/", patience, 1) &&
        !run({python, "-I", "-m", "ensurepip"}, {}))
      return failed_;
    run({python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r",
         fs::absolute(lock).string()},
        fs::absolute(lock).parent_path());
    return failed_;
  }

 private:
  // What the lock file does not pin is the base's.
  bool link(const std::string& python, const BasePython& base) {
    const auto told = output_of(
        std::vector<std::string>{python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'), end='')"},
        "/", patience, 4096);
    if (!told) return fail("the new environment does not say where its packages lie");
    std::ofstream out(fs::path(told->text) / "samestep-base.pth");
    for (const std::string& place : base.packages)
      out << "import site; site.addsitedir(" << python_text(place) << ")\n";
    out.close();
    return out ? true : fail("the new environment cannot be written");
  }

  bool run(std::vector<std::string> words, const fs::path& cwd) {
    const fs::path own = fmt::format("{}-{}.txt", output_.string(), ++commands_);
    const Ending ending = launch(Launch{std::move(words),
                                        cwd,
                                        {{"PYTHONPATH", std::nullopt}, {"PYTHONHOME", std::nullopt}},
                                        own,
                                        nullptr,
                                        options_.limits});
    failed_.asked_to_stop = ending.asked_to_stop;
    if (ending.kind == Ending::Kind::exited && ending.value == 0) return true;
    std::string why = fmt::format("its environment cannot be made: {}", ending.text());
    for (const std::string& line : last_lines(own, shown_lines)) why += "; " + printable(line);
    return fail(why);
  }
  bool fail(const std::string& why) {
    failed_.why = why;
    return false;
  }

  const fs::path& folder_;
  LockEnvironmentOptions options_;
  const fs::path& output_;
  int commands_ = 0;
  Prepared failed_;  // empty as long as nothing did
};

std::string note_packages(const fs::path& folder) {
  const auto told = output_of(std::vector<std::string>{(folder / "bin/python").string(), "-I", "-c", tell_of_packages},
                              "/", patience, most_told);
  if (!told) return "its environment does not say which packages it has";
  const json packages = parse_json(told->text, "the environment's packages");
  std::ofstream out(folder / complete);
  out << json_dump({{"packages", packages}}) << '\n';
  out.close();
  return out ? "" : "its environment cannot be written";
}

}  // namespace

fs::path LockEnvironmentOptions::default_cache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return fs::path(cache) / "samestep/environments";
  const char* home = std::getenv("HOME");
  return home != nullptr && home[0] == '/' ? fs::path(home) / ".cache/samestep/environments" : fs::path();
}

BasePython base_python(const std::string& name) {
  const auto told = output_of(std::vector<std::string>{name, "-I", "-c", tell_of_base}, "/", patience, most_told);
  if (!told) throw BrokenInput(fmt::format("--base {}: it is no Python that can be started", name));
  const std::string origin = "what " + name + " says of itself";
  const json json = parse_json(told->text, origin);
  BasePython base{json_text(json, "program", origin), json_text(json, "version", origin), {}};
  for (const auto& place : json_array(json, "packages", origin))
    if (place.is_string()) base.packages.push_back(place.get<std::string>());
  return base;
}

Prepared make_environment(const fs::path& lock, const BasePython& base, const LockEnvironmentOptions& options,
                          const fs::path& output, LockEnvironment& environment) {
  if (options.cache.empty()) throw BrokenInput("there is no place for environments: set HOME or XDG_CACHE_HOME");
  need_own_folder(options.cache);
  const fs::path folder = options.cache / name_for(lock, base);
  const Descriptor lone(::open((folder.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lone || ::flock(lone.get(), LOCK_EX) != 0)
    throw BrokenInput(fmt::format("{}: {}", folder.string(), std::strerror(errno)));
  if (auto found = known(folder)) {
    environment = std::move(*found);
    return {};
  }
  Prepared made = Maker(folder, options, output).make(lock, base);
  if (made.why.empty() && made.asked_to_stop == 0) made.why = note_packages(folder);
  if (!made.why.empty() || made.asked_to_stop != 0) {
    remove_tree(folder);
    return made;
  }
  environment = known(folder).value();
  return made;
}

EnvironmentChanges changes_for(const LockEnvironment& environment) {
  const char* path = std::getenv("PATH");
  const std::string programs = (environment.folder / "bin").string();
  return {{"PATH", path == nullptr ? programs + ":/usr/bin:/bin" : programs + ":" + path},
          {"VIRTUAL_ENV", environment.folder.string()},
          {"PYTHONHOME", std::nullopt}};
}

std::vector<std::string> version_changes(const PackageVersions& before, const PackageVersions& after) {
  std::set<std::string> names;
  for (const PackageVersions* side : {&before, &after})
    for (const auto& [name, version] : *side) names.insert(name);
  const auto version_in = [](const PackageVersions& side, const std::string& name) {
    return side.contains(name) ? side.at(name) : std::string("(none)");
  };
  std::vector<std::string> changes;
  for (const std::string& name : names)
    if (version_in(before, name) != version_in(after, name))
      changes.push_back(fmt::format("{}: {} -> {}", name, version_in(before, name), version_in(after, name)));
  return changes;
}

}  // namespace samestep
