#include "replay/compare/environment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

namespace samestep {
namespace {

using Kind = EnvironmentDifference::Kind;
using Values = std::map<std::string, std::string>;

constexpr const char* none = "(none)";

// Differ from run to run without any bearing on bits.
bool without_meaning(const std::string& key) {
  static const std::set<std::string> words{"pid",  "ppid", "user",   "host", "hostname", "began", "ended",  "utc",
                                           "time", "uid",  "socket", "cwd",  "load",     "job",   "program", "argv"};
  return words.contains(key);
}

std::string as_text(const nlohmann::json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

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

void add_file(Values& files, const std::string& path, const nlohmann::json& entry) {
  const nlohmann::json& digest = entry.is_object() ? field(entry, "digest") : entry;
  if (digest.is_string()) files[path] = digest.get<std::string>();
}

// Both forms that lists of files take: [{"path", "digest", ...}] and {path: digest or {"digest", ...}}.
Values files_of(const nlohmann::json& json) {
  Values files;
  if (json.is_array()) {
    for (const auto& entry : json) {
      if (field(entry, "path").is_string()) add_file(files, entry["path"].get<std::string>(), entry);
    }
  } else if (json.is_object()) {
    for (const auto& [path, entry] : json.items()) add_file(files, path, entry);
  }
  return files;
}

std::string base(const std::string& path) { return std::filesystem::path(path).filename().string(); }

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
      found.push_back({Kind::file, path, digest.substr(0, 12), none});
    } else if (b.at(other) != digest) {
      found.push_back({Kind::file, path, digest.substr(0, 12), b.at(other).substr(0, 12)});
    }
  }
  for (const auto& [path, digest] : b) {
    if (!matched.contains(path) && partner(path, a).empty()) {
      found.push_back({Kind::file, path, none, digest.substr(0, 12)});
    }
  }
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

Values flat(const nlohmann::json& json, const std::string& prefix = "") {
  Values values;
  flatten(json, prefix, values);
  return values;
}

nlohmann::json without_files(nlohmann::json environment) {
  if (environment.is_object()) {
    for (const char* key : {"files", "libraries_files", "mapped"}) environment.erase(key);
  }
  return environment;
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
  verdict.evidence.insert(verdict.evidence.begin(),
                          fmt::format("it ran under other settings, which can change bits by themselves: {}",
                                      fmt::join(settings, "; ")));
  verdict.limits.push_back("whether the training changed: compare under equal settings, or use --ignore-environment");
}

}  // namespace

std::string describe(const EnvironmentDifference& difference) {
  if (difference.kind != Kind::file) {
    return fmt::format("{}: {} against {}", difference.item, difference.a, difference.b);
  }
  if (difference.a == none || difference.b == none) {
    return fmt::format("{} is in the {} only", difference.item, difference.b == none ? "first" : "second");
  }
  return fmt::format("{} changed: digest {} against {}", difference.item, difference.a, difference.b);
}

Surroundings surroundings(const Manifest& manifest, std::uint32_t rank) {
  Surroundings result{.what = manifest.what};
  for (const SegmentEntry& segment : manifest.segments) {
    if (segment.rank == rank && !segment.environment.empty()) result.environment = segment.environment;
  }
  return result;
}

std::vector<EnvironmentDifference> environment_differences(const Surroundings& a, const Surroundings& b) {
  std::vector<EnvironmentDifference> found;
  const Values environment_a = flat(without_files(a.environment));
  const Values environment_b = flat(without_files(b.environment));
  const bool both_known = !environment_a.empty() && !environment_b.empty();
  compare_values(found, Kind::setting, environment_a, environment_b, both_known);
  compare_values(found, Kind::setting, flat(field(a.what, "pins")), flat(field(b.what, "pins")), true);
  compare_values(found, Kind::setting, flat(field(a.what, "cpu"), "cpu"), flat(field(b.what, "cpu"), "cpu"), false);
  compare_files(found, files_of(field(a.what, "files")), files_of(field(b.what, "files")));
  compare_files(found, files_of(field(a.environment, "files")), files_of(field(b.environment, "files")));
  compare_values(found, Kind::told, flat(field(a.what, "revision"), "revision"),
                 flat(field(b.what, "revision"), "revision"), false);
  compare_values(found, Kind::told, {{"command", field(a.what, "argv").dump()}},
                 {{"command", field(b.what, "argv").dump()}}, false);
  return found;
}

void weigh_environment(Verdict& verdict, const std::vector<EnvironmentDifference>& differences,
                       bool ignore_environment) {
  const std::vector<std::string> settings = described(differences, Kind::setting);
  const std::vector<std::string> files = described(differences, Kind::file);
  if (verdict.outcome == Outcome::same) {
    if (!settings.empty()) verdict.evidence.push_back(fmt::format("in spite of {}", fmt::join(settings, "; ")));
    if (!files.empty()) verdict.evidence.push_back(fmt::format("in spite of changed files: {}", fmt::join(files, "; ")));
    return;
  }
  if (verdict.outcome != Outcome::diverged) return;
  verdict.suspects.insert(verdict.suspects.end(), files.begin(), files.end());
  verdict.suspects.insert(verdict.suspects.end(), settings.begin(), settings.end());
  for (std::string& text : described(differences, Kind::told)) verdict.suspects.push_back(std::move(text));
  if (verdict.cause != Cause::ended) weigh_divergence(verdict, settings, ignore_environment);
}

}  // namespace samestep
