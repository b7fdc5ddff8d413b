#include "bisect/job.h"

#include <fmt/format.h>

#include <fstream>
#include <limits>

#include "bisect/history.h"
#include "bisect/json_bytes.h"
#include "bisect/private_file.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::uint64_t format_version = 1;
constexpr std::size_t most_bytes = std::size_t{16} << 20;  // a command and an environment may be long

fs::path job_file(const fs::path& folder) {
  return folder / "job.json";
}

fs::path progress_file(const fs::path& folder) {
  return folder / "progress.txt";
}

fs::path answer_file(const fs::path& folder) {
  return folder / "answer.json";
}

// Takes an object apart; every mistake names the file and the field.
class Fields {
 public:
  Fields(const Json& object, std::string origin) : object_(object), origin_(std::move(origin)) {}

  [[nodiscard]] const std::string& origin() const { return origin_; }
  [[nodiscard]] Fields object(const char* key) const { return {json_object(object_, key, origin_), origin_}; }
  [[nodiscard]] const Json& field(const char* key) const { return json_field(object_, key, origin_); }
  [[nodiscard]] std::uint64_t number(const char* key) const { return json_unsigned(object_, key, origin_); }
  [[nodiscard]] std::uint32_t small_number(const char* key) const { return json_u32(object_, key, origin_); }
  [[nodiscard]] std::string text(const char* key) const { return json_text(object_, key, origin_); }
  [[nodiscard]] bool flag(const char* key) const {
    if (!field(key).is_boolean()) refuse(key, "true or false");
    return field(key).get<bool>();
  }
  [[nodiscard]] std::string bytes(const char* key) const { return bytes_in(key, field(key)); }
  [[nodiscard]] fs::path path(const char* key) const {
    fs::path path = bytes(key);
    if (!path.is_absolute()) refuse(key, "an absolute path");
    return path;
  }
  [[nodiscard]] std::optional<fs::path> path_if_any(const char* key) const {
    return field(key).is_null() ? std::nullopt : std::optional(path(key));
  }
  [[nodiscard]] std::vector<std::string> words(const char* key) const {
    std::vector<std::string> words;
    for (const Json& word : json_array(object_, key, origin_)) words.push_back(bytes_in(key, word));
    return words;
  }
  [[nodiscard]] std::vector<fs::path> paths(const char* key) const {
    const std::vector<std::string> list = words(key);
    return {list.begin(), list.end()};
  }
  [[nodiscard]] std::chrono::milliseconds milliseconds(const char* key) const {
    return std::chrono::milliseconds(number(key) & std::numeric_limits<std::int64_t>::max());
  }
  [[noreturn]] void refuse(const char* key, const std::string& expected) const {
    throw BrokenInput(fmt::format("{}: '{}' is not {}", origin_, key, expected));
  }

 private:
  [[nodiscard]] std::string bytes_in(const char* key, const Json& value) const {
    auto text = bytes_from_json(value);
    if (!text) refuse(key, "a text without NUL");
    return std::move(*text);
  }

  const Json& object_;
  std::string origin_;
};

Json path_or_null(const std::optional<fs::path>& path) {
  return path ? bytes_to_json(fs::absolute(*path).native()) : Json();
}

Json absolute_list(const std::vector<fs::path>& paths) {
  std::vector<fs::path> absolute;
  for (const fs::path& path : paths) absolute.push_back(fs::absolute(path));
  return bytes_to_json(absolute);
}

// --- Settings --------------------------------------------------------------------------------------------------------

Json to_json(const Limits& limits) {
  return {{"milliseconds", limits.time.count()}, {"bytes", limits.memory}};
}

Limits limits_from(const Fields& fields) {
  return {fields.milliseconds("milliseconds"), fields.number("bytes")};
}

Json to_json(const ReplayOptions& options) {
  Json pins = Json::array(), set = Json::object();
  for (const Lane lane : options.pins) pins.push_back(name(lane));
  for (const auto& [name, value] : options.set) set[name] = bytes_to_json(value);
  return {{"run", path_or_null(options.run)},
          {"rank", options.rank},
          {"command", bytes_to_json(options.command)},
          {"cwd", path_or_null(options.cwd)},
          {"set", set},
          {"view", absolute_list(options.view)},
          {"show", absolute_list(options.show)},
          {"network", options.network},
          {"ignore_environment", options.ignore_environment},
          {"jump", options.jump},
          {"led_counts", options.led_counts},
          {"computed", options.computed},
          {"called_once", options.called_once},
          {"pins", pins},
          {"limits", to_json(options.limits)}};
}

std::map<std::string, std::string> settings_in(const Fields& fields, const char* key) {
  const Fields inner = fields.object(key);
  std::map<std::string, std::string> settings;
  for (const auto& [name, value] : fields.field(key).items()) settings[name] = inner.bytes(name.c_str());
  return settings;
}

std::vector<Lane> lanes_in(const Fields& fields, const char* key) {
  std::vector<Lane> lanes;
  for (const std::string& word : fields.words(key)) {
    const auto lane = lane_from_name(word);
    if (!lane) fields.refuse(key, "a list of lanes");
    lanes.push_back(*lane);
  }
  return lanes;
}

ReplayOptions replay_options_from(const Fields& fields) {
  ReplayOptions options;
  options.run = fields.path("run");
  options.rank = fields.small_number("rank");
  options.command = fields.words("command");
  options.cwd = fields.path_if_any("cwd");
  options.set = settings_in(fields, "set");
  options.view = fields.paths("view");
  options.show = fields.paths("show");
  options.network = fields.flag("network");
  options.ignore_environment = fields.flag("ignore_environment");
  options.jump = fields.flag("jump");
  options.led_counts = fields.flag("led_counts");
  options.computed = fields.flag("computed");
  options.called_once = fields.flag("called_once");
  options.pins = lanes_in(fields, "pins");
  options.limits = limits_from(fields.object("limits"));
  return options;
}

Json to_json(const TrialTask& task) {
  const TrialSettings& settings = task.settings;
  return {{"replay", to_json(settings.replay)},
          {"build", bytes_to_json(settings.build)},
          {"build_limits", to_json(settings.build_limits)},
          {"whole", settings.whole},
          {"links", bytes_to_json(settings.links)},
          {"worktrees", settings.worktrees},
          {"asked_by", settings.asked_by},
          {"cache", settings.cache.empty() ? Json("") : path_or_null(settings.cache)},
          {"from", task.window.from},
          {"to", task.window.to},
          {"save", path_or_null(task.save)},
          {"key", task.key}};
}

TrialTask trial_from(const Fields& fields) {
  TrialTask task;
  task.settings.replay = replay_options_from(fields.object("replay"));
  task.settings.build = fields.bytes("build");
  task.settings.build_limits = limits_from(fields.object("build_limits"));
  task.settings.whole = fields.flag("whole");
  task.settings.links = fields.paths("links");
  task.settings.worktrees = fields.flag("worktrees");
  task.settings.views_needed = !task.settings.worktrees;
  task.settings.asked_by = fields.bytes("asked_by");
  task.settings.cache = fields.bytes("cache");
  task.window = {fields.number("from"), fields.number("to")};
  task.save = fields.path_if_any("save");
  task.key = fields.field("key");
  return task;
}

Json to_json(const RevisionRecording& wanted) {
  return {{"command", bytes_to_json(wanted.command)},
          {"cwd", path_or_null(wanted.cwd)},
          {"run", path_or_null(wanted.run)},
          {"steps", wanted.steps},
          {"anchor_every", wanted.anchor_every},
          {"build", bytes_to_json(wanted.build)},
          {"build_limits", to_json(wanted.build_limits)},
          {"limits", to_json(wanted.limits)},
          {"view", absolute_list(wanted.view)},
          {"network", wanted.network}};
}

RevisionRecording recording_from(const Fields& fields) {
  RevisionRecording wanted;
  wanted.command = fields.words("command");
  wanted.cwd = fields.path("cwd");
  wanted.run = fields.path("run");
  wanted.steps = fields.number("steps");
  wanted.anchor_every = fields.number("anchor_every");
  wanted.build = fields.bytes("build");
  wanted.build_limits = limits_from(fields.object("build_limits"));
  wanted.limits = limits_from(fields.object("limits"));
  wanted.view = fields.paths("view");
  wanted.network = fields.flag("network");
  if (wanted.command.empty()) fields.refuse("command", "a program");
  return wanted;
}

Json to_json(const Tie& tie) {
  return {{"parent", static_cast<std::uint64_t>(tie.parent)},
          {"sign_of_life", bytes_to_json(tie.sign_of_life.native())},
          {"milliseconds", tie.patience.count()}};
}

Tie tie_from(const Fields& fields) {
  const std::uint64_t parent = fields.number("parent");
  if (parent > static_cast<std::uint64_t>(std::numeric_limits<pid_t>::max())) fields.refuse("parent", "a process");
  return {static_cast<pid_t>(parent), fields.bytes("sign_of_life"), fields.milliseconds("milliseconds")};
}

void check_version(const Fields& fields) {
  if (fields.number("version") != format_version)
    throw BrokenInput(fields.origin() + ": it was written by another version of samestep");
}

Json result_to_json(const JobAnswer& answer) {
  if (!answer.error.empty()) return {{"error", answer.error}, {"tampered", answer.tampered}};
  if (const auto* tried = std::get_if<TrialRunner::Tried>(&answer.result))
    return {{"answer", to_json(tried->answer)}, {"holds", tried->holds}};
  return {{"why", std::get<std::string>(answer.result)}};
}

void take_result(const Json& json, const Fields& fields, JobAnswer& answer) {
  if (json.contains("error")) {
    answer.error = fields.text("error");
    answer.tampered = fields.flag("tampered");
    if (answer.error.empty()) fields.refuse("error", "a sentence");
  } else if (json.contains("answer")) {
    answer.result = TrialRunner::Tried{trial_answer_from(json_object(json, "answer", fields.origin()), fields.origin()),
                                       fields.flag("holds")};
  } else {
    answer.result = fields.text("why");
  }
}

}  // namespace

void write_job(const fs::path& folder, const Job& job) {
  Json json{{"version", format_version},
            {"repository", bytes_to_json(job.repository.native())},
            {"commit", job.commit},
            {"tie", to_json(job.tie)}};
  if (const auto* trial = std::get_if<TrialTask>(&job.task))
    json["trial"] = to_json(*trial);
  else
    json["recording"] = to_json(std::get<RevisionRecording>(job.task));
  const std::string why = write_private(job_file(folder), json_dump(json, 1) + "\n");
  if (!why.empty()) throw BrokenInput(fmt::format("Writing {} failed: {}.", job_file(folder).string(), why));
}

Job read_job(const fs::path& folder) {
  const std::string origin = job_file(folder).string();
  const auto text = private_text(origin, most_bytes);
  if (!text) throw BrokenInput(origin + ": there is no job");
  const Json json = parse_json(*text, origin);
  const Fields fields(json, origin);
  check_version(fields);
  Job job{fields.path("repository"), fields.text("commit"), {}, tie_from(fields.object("tie"))};
  if (!is_object_id(job.commit)) fields.refuse("commit", "a commit's id");
  if (json.contains("trial")) {
    job.task = trial_from(fields.object("trial"));
    std::get<TrialTask>(job.task).settings.folder = folder;
  } else {
    job.task = recording_from(fields.object("recording"));
    std::get<RevisionRecording>(job.task).folder = folder;
  }
  return job;
}

void write_progress(const fs::path& folder, const std::string& text) {
  (void)write_private(progress_file(folder), text + "\n");  // without it only the picture stands still
}

std::string read_progress(const fs::path& folder) {
  constexpr std::size_t most_progress = 4096;
  try {
    const std::string text = private_text(progress_file(folder), most_progress).value_or("");
    return printable(text.substr(0, text.find('\n')));
  } catch (const BrokenInput&) {
    return "";
  }
}

std::string write_answer(const fs::path& folder, const JobAnswer& answer) {
  Json json = result_to_json(answer);
  json["version"] = format_version;
  json["said"] = answer.said;
  json["job"] = answer.job;
  return write_private(answer_file(folder), json_dump(json, 1) + "\n");
}

std::optional<JobAnswer> read_answer(const fs::path& folder) {
  const std::string origin = answer_file(folder).string();
  const auto text = private_text(origin, most_bytes);
  if (!text) return std::nullopt;
  const Json json = parse_json(*text, origin);
  const Fields fields(json, origin);
  check_version(fields);
  JobAnswer answer;
  answer.job = printable(fields.text("job"));
  for (const std::string& line : fields.words("said")) answer.said.push_back(printable(line));
  take_result(json, fields, answer);
  return answer;
}

}  // namespace samestep
