#include "bisect/trial_cache.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "bisect/private_file.h"
#include "kernels/digest.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t format_version = 1;
constexpr std::size_t most_bytes = std::size_t{1} << 20;
constexpr std::array outcomes{TrialOutcome::same, TrialOutcome::diverged, TrialOutcome::flaky,
                              TrialOutcome::untestable};

TrialOutcome outcome_from(const std::string& text, const std::string& origin) {
  for (const TrialOutcome outcome : outcomes)
    if (name(outcome) == text) return outcome;
  throw BrokenInput(fmt::format("{}: no trial ends in '{}'", origin, printable(text)));
}

Lane lane_from(const std::string& text, const std::string& origin) {
  const auto lane = lane_from_name(text);
  if (!lane) throw BrokenInput(fmt::format("{}: there is no lane '{}'", origin, printable(text)));
  return *lane;
}

[[noreturn]] void refuse(const fs::path& file, const std::string& why) {
  throw BrokenInput(fmt::format("{}: {}", file.string(), why));
}

TrialAnswer answer_in(const nlohmann::json& entry, const nlohmann::json& key, const fs::path& file) {
  const std::string origin = file.string();
  if (json_unsigned(entry, "version", origin) != format_version) refuse(file, "it is of another version");
  if (json_object(entry, "key", origin) != key) refuse(file, "it answers another question");
  return trial_answer_from(json_object(entry, "answer", origin), origin);
}

}  // namespace

nlohmann::json to_json(const TrialAnswer& answer) {
  nlohmann::json json{{"outcome", name(answer.outcome)}, {"step", nullptr}, {"lane", nullptr}};
  if (answer.step) json["step"] = *answer.step;
  if (answer.lane) json["lane"] = name(*answer.lane);
  json["tensor"] = answer.tensor;
  json["why"] = answer.why;
  json["behaviour"] = answer.behaviour;
  json["steps_replayed"] = answer.steps_replayed;
  return json;
}

TrialAnswer trial_answer_from(const nlohmann::json& json, const std::string& origin) {
  TrialAnswer answer;
  answer.outcome = outcome_from(json_text(json, "outcome", origin), origin);
  if (!json_field(json, "step", origin).is_null()) answer.step = json_unsigned(json, "step", origin);
  if (!json_field(json, "lane", origin).is_null()) answer.lane = lane_from(json_text(json, "lane", origin), origin);
  answer.tensor = json_text(json, "tensor", origin);
  answer.why = json_text(json, "why", origin);
  answer.behaviour = json_text(json, "behaviour", origin);
  if (!answer.behaviour.empty() && !Digest::from_hex(answer.behaviour))
    throw BrokenInput(fmt::format("{}: its behaviour is no digest", origin));
  answer.steps_replayed = json_unsigned(json, "steps_replayed", origin);
  if (answer.outcome == TrialOutcome::diverged && !answer.step)
    throw BrokenInput(fmt::format("{}: a divergence without a step", origin));
  return answer;
}

TrialCache::TrialCache(fs::path folder, std::function<void(const std::string&)> warn, bool fresh, std::string asked_by)
    : folder_(std::move(folder)), warn_(std::move(warn)), fresh_(fresh), asked_by_(std::move(asked_by)) {}

fs::path TrialCache::default_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return fs::path(cache) / "samestep/trials";
  const char* home = std::getenv("HOME");
  return home != nullptr && home[0] == '/' ? fs::path(home) / ".cache/samestep/trials" : fs::path();
}

fs::path TrialCache::file_of(const nlohmann::json& key) const {
  return folder_ / (digest(json_dump(key)).hex() + ".json");
}

std::optional<TrialAnswer> TrialCache::find(const nlohmann::json& key, bool* other) const {
  if (folder_.empty() || fresh_) return std::nullopt;
  try {
    const fs::path file = file_of(key);
    const auto text = private_text(file, most_bytes);
    if (!text) return std::nullopt;
    const nlohmann::json entry = parse_json(*text, file.string());
    TrialAnswer answer = answer_in(entry, key, file);
    answer.steps_replayed = 0;
    if (other != nullptr) *other = json_text(entry, "asked_by", file.string()) != asked_by_;
    return answer;
  } catch (const BrokenInput& broken) {
    warn_(fmt::format("an answer that was kept is not used: {}; the trial is made again", broken.what()));
    return std::nullopt;
  }
}

void TrialCache::keep(const nlohmann::json& key, const TrialAnswer& answer) const {
  if (folder_.empty()) return;
  std::error_code error;
  fs::create_directories(folder_, error);
  const std::string text =
      json_dump({{"version", format_version}, {"key", key}, {"asked_by", asked_by_}, {"answer", to_json(answer)}}, 1) +
      "\n";
  const std::string why = error ? error.message() : write_private(file_of(key), text);
  if (!why.empty()) warn_(fmt::format("{}: the answer of this trial cannot be kept: {}", folder_.string(), why));
}

}  // namespace samestep
