#include "bisect/settings.h"

#include <fmt/format.h>

#include "bisect/json_bytes.h"
#include "bisect/toolchain.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void put(json& settings, const char* key, const std::string& text) {
  if (!text.empty()) settings[key] = bytes_to_json(text);
}

void put(json& settings, const char* key, bool flag) {
  if (flag) settings[key] = true;
}

void put(json& settings, const char* key, const std::vector<std::string>& texts) {
  if (!texts.empty()) settings[key] = bytes_to_json(texts);
}

void put(json& settings, const char* key, const Limits& limits) {
  if (limits.time.count() != 0 || limits.memory != 0)
    settings[key] = {{"milliseconds", limits.time.count()}, {"bytes", limits.memory}};
}

std::string absolute_text(const fs::path& path) {
  return path.empty() ? "" : fs::absolute(path).lexically_normal().string();
}

std::vector<std::string> texts_of(const std::vector<fs::path>& paths, bool absolutely) {
  std::vector<std::string> texts;
  for (const fs::path& path : paths) texts.push_back(absolutely ? absolute_text(path) : path.string());
  return texts;
}

// Takes the settings of a log apart.
class Settings {
 public:
  Settings(const json& object, const std::string& origin) : object_(object), origin_(origin) {}

  [[nodiscard]] bool has(const char* key) const { return object_.contains(key); }
  [[nodiscard]] std::string text(const char* key) const { return has(key) ? text_in(key, object_[key]) : ""; }
  [[nodiscard]] std::uint64_t number(const char* key) const {
    return has(key) ? json_unsigned(object_, key, origin_) : 0;
  }
  [[nodiscard]] bool flag(const char* key) const {
    if (!has(key)) return false;
    if (!object_[key].is_boolean())
      throw BrokenInput(fmt::format("{}: \"{}\" is neither true nor false", origin_, key));
    return object_[key].get<bool>();
  }
  [[nodiscard]] std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> result;
    if (!has(key)) return result;
    for (const json& text : json_array(object_, key, origin_)) result.push_back(text_in(key, text));
    return result;
  }
  [[nodiscard]] std::vector<fs::path> paths(const char* key) const {
    const std::vector<std::string> found = texts(key);
    return {found.begin(), found.end()};
  }
  [[nodiscard]] Limits limits(const char* key) const {
    if (!has(key)) return {};
    constexpr std::uint64_t most = std::uint64_t{1} << 40;
    const json& found = json_object(object_, key, origin_);
    const std::uint64_t time = std::min(json_unsigned(found, "milliseconds", origin_), most);
    return {std::chrono::milliseconds(static_cast<std::int64_t>(time)), json_unsigned(found, "bytes", origin_)};
  }

 private:
  [[nodiscard]] std::string text_in(const char* key, const json& value) const {
    auto text = bytes_from_json(value);
    if (!text) throw BrokenInput(fmt::format("{}: \"{}\" holds what is no text", origin_, key));
    return std::move(*text);
  }

  const json& object_;
  const std::string& origin_;
};

std::string shown(const json& value) {
  constexpr std::size_t most = 200;
  const std::string text = printable(json_dump(value));
  return text.size() > most ? text.substr(0, most) + "..." : text;
}

// Of what may not be another; repository and run may lie elsewhere than they did.
void need_agreement(const json& asked, const json& logged, const std::string& origin) {
  for (const auto& [key, value] : asked.items()) {
    if (key == "repository" || key == "run" || key == "bad_run") continue;
    const json before = logged.contains(key) ? logged[key] : json();
    if (before == value) continue;
    if (key == "manifest")
      throw BrokenInput(fmt::format("{}: the log is of a search against another run than {}", origin,
                                    asked.contains("run") ? shown(asked["run"]) : "this one"));
    throw BrokenInput(
        fmt::format("{}: its trials were made with {} {}, and {} is asked for: leave it out, or begin anew", origin,
                    key, before.is_null() ? "unset" : shown(before), shown(value)));
  }
}

void fill(BisectOptions& options, const Settings& logged) {
  if (options.repository.empty()) options.repository = logged.text("repository");
  if (!options.run) options.run = logged.text("run");
  if (!options.bad_run && logged.has("bad_run")) options.bad_run = logged.text("bad_run");
  options.replay.command = logged.texts("command");
  options.steps = logged.number("steps");
  options.build = logged.text("build");
  options.build_limits = logged.limits("build_limits");
  options.replay.limits = logged.limits("limits");
  options.paths = logged.texts("paths");
  options.replay.view = logged.paths("view");
  options.links = logged.paths("links");
  options.replay.network = logged.flag("network");
  options.replay.in_place = logged.flag("in_place");
  options.replay.ignore_environment = logged.flag("ignore_environment");
}

}  // namespace

json logged_settings(const BisectOptions& options) {
  json settings = json::object();
  put(settings, "repository", absolute_text(options.repository));
  if (options.run) {
    put(settings, "run", absolute_text(*options.run));
    put(settings, "manifest", manifest_digest(*options.run));
  }
  if (options.steps != 0) settings["steps"] = options.steps;
  if (options.bad_run) put(settings, "bad_run", absolute_text(*options.bad_run));
  put(settings, "command", options.replay.command);
  put(settings, "build", options.build);
  put(settings, "build_limits", options.build_limits);
  put(settings, "limits", options.replay.limits);
  put(settings, "paths", options.paths);
  put(settings, "view", texts_of(options.replay.view, true));
  put(settings, "links", texts_of(options.links, false));
  put(settings, "network", options.replay.network);
  put(settings, "in_place", options.replay.in_place);
  put(settings, "ignore_environment", options.replay.ignore_environment);
  return settings;
}

void take_settings(BisectOptions& options, const json& settings, const std::string& origin) {
  if (!settings.is_object()) {
    throw BrokenInput(
        fmt::format("{}: the log does not say how its trials were made: it is of a search alone", origin));
  }
  need_agreement(logged_settings(options), settings, origin);
  const Settings logged(settings, origin);
  fill(options, logged);
  if (!options.run || options.run->empty() || options.repository.empty())
    throw BrokenInput(fmt::format("{}: the log names no run or no repository", origin));
  if (manifest_digest(*options.run) != logged.text("manifest")) {
    throw BrokenInput(
        fmt::format("{}: the run at {} is another one than the log's search was made against, or has grown", origin,
                    options.run->string()));
  }
}

}  // namespace samestep
