#include "replay/compare/environment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "replay/compare/loaded_code.h"
#include "replay/run/format.h"
#include "replay/run/own_library.h"
#include "replay/run/passing_variables.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

using Kind = EnvironmentDifference::Kind;
using Values = std::map<std::string, std::string>;

constexpr const char* none = "(none)";

// Differ from run to run without any bearing on bits.
bool without_meaning(const std::string& key) {
  static const std::set<std::string> words{"pid",  "ppid", "user",   "host", "hostname", "began", "ended",   "utc",
                                           "time", "uid",  "socket", "cwd",  "load",     "job",   "program", "argv"};
  return words.contains(key);
}

std::string as_text(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : json_dump(value);
}

// {"threads": {"intra": 2}} gives "threads.intra" = "2".
void flatten(const nlohmann::json& json, const std::string& prefix, Values& values) {
  if (!json.is_object()) {
    if (!json.is_null()) values[prefix] = as_text(json);
    return;
  }
  for (const auto& [key, value] : json.items()) {
    if (!without_meaning(key)) flatten(value, prefix.empty() ? key : prefix + "." + key, values);
  }
}

const nlohmann::json& field(const nlohmann::json& json, const char* key) {
  static const nlohmann::json nothing;
  return json.is_object() && json.contains(key) ? json[key] : nothing;
}

std::string base(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

void add_file(Values& files, const std::string& path, const nlohmann::json& entry) {
  const nlohmann::json& bytes = entry.is_object() ? field(entry, "digest") : entry;
  if (bytes.is_string()) files[path] = bytes.get<std::string>();
}

std::string library_name(const nlohmann::json& entry) {
  const nlohmann::json& path = field(entry, "path");
  return field(entry, "role") == "library" && path.is_string() ? base(path.get<std::string>()) : "";
}

bool is_of_the_package(const std::string& library) {
  return std::ranges::find(package_libraries, library) != package_libraries.end();
}

// No change of the user's.
bool is_samesteps_own(const nlohmann::json& entry) {
  const std::string name = library_name(entry);
  return name == files_library || is_of_the_package(name);
}

// Both forms that lists of files take: [{"path", "digest", ...}] and {path: digest or {"digest", ...}}. Not those that
// are compared as modules, nor those of the distributions in `renewed`, nor the recorder's own library.
Values files_of(const nlohmann::json& json, const std::set<std::string>& renewed) {
  Values files;
  if (json.is_array()) {
    for (const auto& entry : json) {
      const nlohmann::json& owner = field(entry, "distribution");
      if (is_module(entry) || is_samesteps_own(entry) ||
          (owner.is_string() && renewed.contains(owner.get<std::string>())))
        continue;
      if (field(entry, "path").is_string()) add_file(files, entry["path"].get<std::string>(), entry);
    }
  } else if (json.is_object()) {
    for (const auto& [path, entry] : json.items()) add_file(files, path, entry);
  }
  return files;
}

// A run in another folder has the same files at other paths: what has no partner by path is matched by its name.
std::string partner(const std::string& path, const Values& files) {
  if (files.contains(path)) return path;
  std::string found;
  for (const auto& [other, digest] : files) {
    if (base(other) != base(path)) continue;
    if (!found.empty()) return "";  // two of one name: no telling which
    found = other;
  }
  return found;
}

void compare_files(std::vector<EnvironmentDifference>& found, const Values& a, const Values& b) {
  if (a.empty() || b.empty()) return;
  std::set<std::string> matched;
  for (const auto& [path, digest] : a) {
    const std::string other = partner(path, b);
    matched.insert(other);
    if (other.empty()) {
      found.push_back({Kind::file, path, digest.substr(0, 12), none, {path, digest}});
    } else if (b.at(other) != digest) {
      found.push_back(
          {Kind::file, path, digest.substr(0, 12), b.at(other).substr(0, 12), {path, digest}, {other, b.at(other)}});
    }
  }
  for (const auto& [path, digest] : b) {
    if (!matched.contains(path) && partner(path, a).empty()) {
      found.push_back({Kind::file, path, none, digest.substr(0, 12), {}, {path, digest}});
    }
  }
}

// Of two runs that read different files each is right in its own way; of one file both must have read the same bytes.
void compare_reads(std::vector<EnvironmentDifference>& found, const Values& a, const Values& b) {
  constexpr std::size_t most_named = 20;  // of a data set that was made anew every file is another
  std::size_t changed = 0;
  for (const auto& [path, digest] : a) {
    const auto other = b.find(path);
    if (other == b.end() || other->second == digest || ++changed > most_named) continue;
    const std::string whole = Digest::from_hex(other->second) ? other->second : "";
    found.push_back(
        {Kind::file, path, digest.substr(0, 12), other->second.substr(0, 12), {path, digest}, {path, whole}});
  }
  if (changed > most_named)
    found.push_back(
        {Kind::file, fmt::format("{} more of the files read", changed - most_named), "as recorded", "other"});
}

void compare_values(std::vector<EnvironmentDifference>& found, Kind kind, const Values& a, const Values& b,
                    bool missing_counts) {
  std::set<std::string> keys;
  for (const auto* values : {&a, &b}) {
    for (const auto& [key, value] : *values) keys.insert(key);
  }
  for (const std::string& key : keys) {
    const bool both = a.contains(key) && b.contains(key);
    if (!both && !missing_counts) continue;
    const std::string x = a.contains(key) ? a.at(key) : none;
    const std::string y = b.contains(key) ? b.at(key) : none;
    if (x != y) found.push_back({kind, key, x, y});
  }
}

// [{"name", "value"}] as the recorder lists its pins. A pin that is not set is left out.
void add_pins(Values& values, const nlohmann::json& pins) {
  if (!pins.is_array()) return;
  for (const auto& pin : pins) {
    const nlohmann::json& value = field(pin, "value");
    if (!field(pin, "name").is_string() || !value.is_string()) continue;
    const std::string name = pin["name"];
    if (name != format::entropy_variable) values[name] = value;  // every recording draws its own; `rng` shows it
  }
}

// What the session found in effect. A variable that it saw is the same item as the pin of its name, so pins are taken
// only where no session told.
Values session_settings(const Surroundings& run) {
  Values values;
  flatten(run.environment, "", values);
  const std::string variables = "variables.";
  for (auto at = values.lower_bound(variables); at != values.end() && at->first.starts_with(variables);) {
    values.emplace(at->first.substr(variables.size()), at->second);
    at = values.erase(at);
  }
  return values;
}

Values pins_of(const Surroundings& run) {
  Values values;
  add_pins(values, field(run.what, "pins"));
  return values;
}

// The parts of the machine that choose kernels.
Values machine_of(const Surroundings& run) {
  Values values;
  for (const char* key : {"processor", "gpu_driver"}) {
    const nlohmann::json& value = field(field(run.what, "machine"), key);
    if (value.is_string()) values[std::string("machine.") + key] = value;
  }
  return values;
}

std::set<std::string> processor_flags(const Surroundings& run) {
  const nlohmann::json& value = field(field(run.what, "machine"), "processor_flags");
  std::istringstream words(value.is_string() ? value.get<std::string>() : "");
  return {std::istream_iterator<std::string>(words), {}};
}

// A hundred flags, of which the few that one side lacks are told.
void compare_flags(std::vector<EnvironmentDifference>& found, const std::set<std::string>& a,
                   const std::set<std::string>& b) {
  if (a.empty() || b.empty() || a == b) return;
  const auto only_in = [](const std::set<std::string>& x, const std::set<std::string>& y) {
    std::vector<std::string> words;
    std::set_difference(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(words));
    return words.empty() ? std::string(none) : fmt::format("{}", fmt::join(words, " "));
  };
  found.push_back({Kind::setting, "machine.processor_flags", only_in(a, b), only_in(b, a)});
}

// A section that one side does not have at all is unknown there; one item that it lacks is different.
void compare_settings(std::vector<EnvironmentDifference>& found, const Values& a, const Values& b) {
  if (!a.empty() && !b.empty()) compare_values(found, Kind::setting, a, b, true);
}

// Neither a setting nor a file's bytes, yet worth telling where two runs part.
Values told_of(const nlohmann::json& what) {
  Values values;
  if (field(what, "argv").is_array()) values["command"] = json_dump(field(what, "argv"));
  const nlohmann::json& revision = field(what, "revision");
  if (field(revision, "commit").is_string()) values["revision"] = field(revision, "commit");
  if (field(revision, "diff").is_string()) {
    values["uncommitted changes"] = digest(field(revision, "diff").get<std::string>()).hex().substr(0, 12);
  }
  const nlohmann::json& files = field(what, "files");
  if (files.is_array())
    for (const auto& entry : files)
      if (is_of_the_package(library_name(entry)) && field(entry, "digest").is_string())
        values["build of " + library_name(entry)] = field(entry, "digest").get<std::string>().substr(0, 12);
  for (const char* name : {"LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH"}) {
    const nlohmann::json& kept = field(field(what, "environment"), "values");
    if (kept.is_object()) values[name] = field(kept, name).is_string() ? kept[name].get<std::string>() : none;
  }
  return values;
}

// Those whose values are kept are compared elsewhere; of the others the names alone are known.
std::set<std::string> variables_of(const nlohmann::json& what) {
  std::set<std::string> names;
  for (const auto& name : field(field(what, "environment"), "names"))
    if (name.is_string() && is_of_the_users(name.get<std::string>())) names.insert(name);
  return names;
}

void compare_variables(std::vector<EnvironmentDifference>& found, const nlohmann::json& a, const nlohmann::json& b) {
  constexpr std::size_t most_named = 20;  // on another machine most are others
  const auto known = [](const nlohmann::json& what) { return field(field(what, "environment"), "names").is_array(); };
  if (!known(a) || !known(b)) return;
  const std::set<std::string> in_a = variables_of(a), in_b = variables_of(b);
  std::vector<std::string> apart;
  std::ranges::set_symmetric_difference(in_a, in_b, std::back_inserter(apart));
  if (apart.size() > most_named) return;
  for (const std::string& name : apart)
    found.push_back({Kind::set, name, in_a.contains(name) ? "set" : none, in_b.contains(name) ? "set" : none});
}

std::vector<std::string> described(const std::vector<EnvironmentDifference>& differences, Kind kind) {
  std::vector<std::string> texts;
  for (const EnvironmentDifference& difference : differences) {
    if (difference.kind == kind) texts.push_back(describe(difference));
  }
  return texts;
}

void weigh_divergence(Verdict& verdict, const std::vector<std::string>& settings, bool ignore_environment) {
  if (settings.empty()) return;
  if (ignore_environment) {
    verdict.evidence.push_back(fmt::format("differing settings, ignored on request: {}", fmt::join(settings, "; ")));
    return;
  }
  verdict.outcome = Outcome::incomparable;
  verdict.cause = Cause::environment;
  verdict.evidence.insert(
      verdict.evidence.begin(),
      fmt::format("it ran under other settings, which can change bits by themselves: {}", fmt::join(settings, "; ")));
  verdict.limits.push_back("whether the training changed: compare under equal settings, or use --ignore-environment");
}

}  // namespace

std::string describe(const EnvironmentDifference& difference) {
  if (difference.kind == Kind::loaded)
    return fmt::format("{} was loaded in the {} only", difference.item, difference.b == none ? "first" : "second");
  if (difference.kind == Kind::set)
    return fmt::format("the variable {} was set in the {} only", difference.item,
                       difference.b == none ? "first" : "second");
  if (difference.kind != Kind::file) {
    return fmt::format("{}: {} against {}", difference.item, difference.a, difference.b);
  }
  if (difference.a == none || difference.b == none) {
    return fmt::format("{} is in the {} only", difference.item, difference.b == none ? "first" : "second");
  }
  return fmt::format("{} changed: digest {} against {}", difference.item, difference.a, difference.b);
}

const nlohmann::json& session_of(const Manifest& manifest, const SegmentEntry& segment) {
  const auto here = std::ranges::find_if(manifest.segments, [&](const SegmentEntry& entry) {
    return entry.rank == segment.rank && entry.number == segment.number;
  });
  const auto place = static_cast<std::uint64_t>(here - manifest.segments.begin());
  const nlohmann::json* session = &manifest.what;
  for (const nlohmann::json& next : field(manifest.what, "continued")) {
    const nlohmann::json& before = field(next, "segments_before");
    if (before.is_number_unsigned() && before.get<std::uint64_t>() <= place) session = &next;
  }
  return *session;
}

Surroundings surroundings(const Manifest& manifest, const SegmentEntry& segment) {
  return {.what = session_of(manifest, segment), .environment = segment.environment};
}

std::vector<EnvironmentDifference> environment_differences(const Surroundings& a, const Surroundings& b) {
  std::vector<EnvironmentDifference> found;
  compare_settings(found, session_settings(a), session_settings(b));
  const Values told = session_settings(a);
  Values pins_a = pins_of(a);
  Values pins_b = pins_of(b);
  std::erase_if(pins_a, [&](const auto& pin) { return told.contains(pin.first); });
  std::erase_if(pins_b, [&](const auto& pin) { return told.contains(pin.first); });
  compare_settings(found, pins_a, pins_b);
  compare_settings(found, machine_of(a), machine_of(b));
  compare_flags(found, processor_flags(a), processor_flags(b));
  const std::set<std::string> renewed = renewed_distributions(a.what, b.what);
  compare_files(found, files_of(field(a.what, "files"), renewed), files_of(field(b.what, "files"), renewed));
  add_differences(found, code_differences(a.what, b.what));
  compare_reads(found, files_of(field(field(a.what, "reads"), "files"), renewed),
                files_of(field(field(b.what, "reads"), "files"), renewed));
  compare_variables(found, a.what, b.what);
  compare_values(found, Kind::told, told_of(a.what), told_of(b.what), false);
  return found;
}

std::vector<EnvironmentDifference> changed_midway(const Manifest& a, const Manifest& b, std::uint32_t rank,
                                                  std::uint64_t step) {
  const auto changes = [&](const Manifest& run) {
    Values values;
    for (const Event& event : run.events) {
      if (event.kind != "environment" || event.rank != rank || event.step.value_or(0) > step) continue;
      values[fmt::format("settings at step {}", event.step.value_or(0))] = event.text;
    }
    return values;
  };
  std::vector<EnvironmentDifference> found;
  compare_values(found, Kind::told, changes(a), changes(b), true);
  return found;
}

void add_differences(std::vector<EnvironmentDifference>& found, const std::vector<EnvironmentDifference>& more) {
  for (const EnvironmentDifference& difference : more) {
    if (std::ranges::find(found, difference) == found.end()) found.push_back(difference);
  }
}

void weigh_environment(Verdict& verdict, const std::vector<EnvironmentDifference>& differences,
                       bool ignore_environment) {
  const std::vector<std::string> settings = described(differences, Kind::setting);
  const std::vector<std::string> files = described(differences, Kind::file);
  if (verdict.outcome == Outcome::same) {
    if (!settings.empty()) verdict.evidence.push_back(fmt::format("in spite of {}", fmt::join(settings, "; ")));
    if (!files.empty())
      verdict.evidence.push_back(fmt::format("in spite of changed files: {}", fmt::join(files, "; ")));
    if (const auto told = described(differences, Kind::told); !told.empty()) {
      verdict.evidence.push_back(fmt::format("with another {}", fmt::join(told, "; another ")));
    }
    return;
  }
  if (verdict.outcome != Outcome::diverged) return;
  verdict.suspects.insert(verdict.suspects.end(), files.begin(), files.end());
  verdict.suspects.insert(verdict.suspects.end(), settings.begin(), settings.end());
  for (const Kind kind : {Kind::loaded, Kind::set})
    for (std::string& text : described(differences, kind)) verdict.suspects.push_back(std::move(text));
  for (std::string& text : described(differences, Kind::told)) verdict.suspects.push_back(std::move(text));
  if (verdict.cause != Cause::ended) weigh_divergence(verdict, settings, ignore_environment);
}

}  // namespace samestep
