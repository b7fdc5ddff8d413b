#include "replay/compare/loaded_code.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>

namespace samestep {
namespace {

using Kind = EnvironmentDifference::Kind;
using nlohmann::json;

constexpr const char* none = "(none)";
const std::string own_distribution = "samestep", distribution_item = "distribution ";

const json& field(const json& object, const char* key) {
  static const json nothing;
  return object.is_object() && object.contains(key) ? object[key] : nothing;
}

std::string text_of(const json& object, const char* key) {
  const json& value = field(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

// --- Distributions ----------------------------------------------------------------------------------------------

struct Installed {
  std::string version;
  bool used = false;
  std::set<std::string> changed;  // files that are not as RECORD states
};

// Of several of one name the one whose code was loaded; else the first, which Python would take.
std::map<std::string, Installed> distributions_of(const json& what) {
  std::map<std::string, Installed> found;
  const json& list = field(what, "distributions");
  if (!list.is_array()) return found;
  for (const json& entry : list) {
    Installed installed{text_of(entry, "version"), field(entry, "used") == true, {}};
    for (const json& file : field(entry, "changed"))
      if (file.is_string()) installed.changed.insert(file.get<std::string>());
    const std::string name = text_of(entry, "name");
    if (!found.contains(name) || (installed.used && !found[name].used)) found[name] = std::move(installed);
  }
  return found;
}

std::vector<EnvironmentDifference> version_differences(const json& a, const json& b) {
  std::vector<EnvironmentDifference> differences;
  const auto in_a = distributions_of(a), in_b = distributions_of(b);
  if (in_a.empty() || in_b.empty()) return differences;
  std::set<std::string> names;
  for (const auto* list : {&in_a, &in_b})
    for (const auto& [name, installed] : *list)
      if (installed.used) names.insert(name);
  for (const std::string& name : names) {
    const std::string x = in_a.contains(name) ? in_a.at(name).version : none;
    const std::string y = in_b.contains(name) ? in_b.at(name).version : none;
    const Kind kind = name == own_distribution ? Kind::told : Kind::setting;
    if (x != y) differences.push_back({kind, distribution_item + name, x, y});
  }
  return differences;
}

// --- Modules ----------------------------------------------------------------------------------------------------

struct Module {
  std::string path, digest, distribution;
  bool from_start = false;
};

std::map<std::string, Module> modules_of(const json& what) {
  std::map<std::string, Module> found;
  const json& files = field(what, "files");
  if (!files.is_array()) return found;
  for (const json& file : files) {
    if (!is_module(file)) continue;
    found[text_of(file, "module")] = {text_of(file, "path"), text_of(file, "digest"), text_of(file, "distribution"),
                                      text_of(file, "since") == "start"};
  }
  return found;
}

// "/lib/torch/optim/adam.py (not as torch 2.14.1 installed it)", where that is so.
std::string with_remark(const Module& module, const std::map<std::string, Installed>& distributions) {
  const auto owner = distributions.find(module.distribution);
  if (owner == distributions.end()) return module.path;
  for (const std::string& name : owner->second.changed)
    if (module.path.ends_with("/" + name))
      return fmt::format("{} (not as {} {} installed it)", module.path, owner->first, owner->second.version);
  return module.path;
}

// A text encoding of Python's own library: loaded when a text file of that encoding is first opened, by whatever opens
// it (the package samestep is one). Which file decodes text is known to no training.
bool is_codec(const std::string& name, const Module& module, const std::map<std::string, Module>& loaded) {
  const auto package = loaded.find("encodings");
  if (!name.starts_with("encodings.") || package == loaded.end() || !module.distribution.empty()) return false;
  return std::filesystem::path(module.path).parent_path() == std::filesystem::path(package->second.path).parent_path();
}

bool is_own(const std::string& module) {
  return module == own_distribution || module.starts_with(own_distribution + ".");
}

void compare_modules(std::vector<EnvironmentDifference>& found, const json& a, const json& b,
                     const std::set<std::string>& renewed) {
  const auto in_a = modules_of(a), in_b = modules_of(b);
  if (in_a.empty() || in_b.empty()) return;
  const auto installed_a = distributions_of(a), installed_b = distributions_of(b);
  const auto one_sided = [&](const auto& side, const auto& other, bool is_first) {
    for (const auto& [name, module] : side) {
      if (other.contains(name) || !module.from_start || renewed.contains(module.distribution)) continue;
      if (is_codec(name, module, side) || is_own(name)) continue;
      found.push_back({Kind::loaded, fmt::format("module {} ({})", name, module.path), is_first ? module.path : none,
                       is_first ? none : module.path});
    }
  };
  for (const auto& [name, module] : in_a) {
    const auto other = in_b.find(name);
    if (other == in_b.end() || renewed.contains(module.distribution)) continue;
    const std::string& x = module.digest;
    const std::string& y = other->second.digest;
    if (x.empty() || y.empty() || x == y) continue;
    const std::string now = with_remark(other->second, installed_b), before = with_remark(module, installed_a);
    found.push_back({is_own(name) ? Kind::told : Kind::file,
                     now == other->second.path ? before : now,
                     x.substr(0, 12),
                     y.substr(0, 12),
                     {module.path, x},
                     {other->second.path, y}});
  }
  one_sided(in_a, in_b, true);
  one_sided(in_b, in_a, false);
}

void compare_script_revisions(std::vector<EnvironmentDifference>& found, const json& a, const json& b) {
  const json& x = field(a, "script_revision");
  const json& y = field(b, "script_revision");
  if (!x.is_object() || !y.is_object()) return;
  if (text_of(x, "commit") != text_of(y, "commit")) {
    found.push_back({Kind::told, "revision of the script", text_of(x, "commit"), text_of(y, "commit")});
  } else if (text_of(x, "diff") != text_of(y, "diff")) {
    const auto short_digest = [](const std::string& text) { return digest(text).hex().substr(0, 12); };
    found.push_back({Kind::told, "uncommitted changes of the script's repository", short_digest(text_of(x, "diff")),
                     short_digest(text_of(y, "diff"))});
  }
}

}  // namespace

bool is_module(const json& file) {
  const std::string name = text_of(file, "module");
  return !name.empty() && name != "__main__";  // the script is another's `__main__`: it is compared by its path
}

std::set<std::string> renewed_distributions(const json& a, const json& b) {
  std::set<std::string> names;
  for (const EnvironmentDifference& difference : version_differences(a, b))
    names.insert(difference.item.substr(distribution_item.size()));
  return names;
}

std::vector<EnvironmentDifference> code_differences(const json& a, const json& b) {
  std::vector<EnvironmentDifference> found = version_differences(a, b);
  compare_modules(found, a, b, renewed_distributions(a, b));
  compare_script_revisions(found, a, b);
  return found;
}

}  // namespace samestep
