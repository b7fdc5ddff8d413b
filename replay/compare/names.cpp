// Names and JSON form of a verdict.
#include "replay/compare/verdict.h"

namespace samestep {
namespace {

nlohmann::json or_null(const std::string& text) {
  return text.empty() ? nlohmann::json() : nlohmann::json(text);
}

template <class T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

nlohmann::json lanes_json(const LaneTallies& lanes) {
  auto json = nlohmann::json::object();
  for (Lane lane : all_lanes) json[std::string(name(lane))] = name(lanes[static_cast<std::size_t>(lane)].outcome());
  return json;
}

// Of the lanes that are `partly` there: at how many steps they were compared, and at how many not.
nlohmann::json partly_json(const LaneTallies& lanes) {
  auto json = nlohmann::json::object();
  for (Lane lane : all_lanes) {
    const LaneTally& tally = lanes[static_cast<std::size_t>(lane)];
    if (tally.outcome() != LaneOutcome::partly) continue;
    json[std::string(name(lane))] = {{"compared", tally.compared()}, {"missed", tally.missed()}};
  }
  return json;
}

}  // namespace

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::same:
      return "same";
    case Outcome::diverged:
      return "diverged";
    case Outcome::flaky:
      return "flaky";
    case Outcome::incomparable:
      return "incomparable";
    case Outcome::tampered:
      return "tampered";
  }
  return "";
}

int exit_code(Outcome outcome) {
  switch (outcome) {
    case Outcome::same:
      return 0;
    case Outcome::diverged:
      return 1;
    case Outcome::flaky:
    case Outcome::incomparable:
      return 3;
    case Outcome::tampered:
      return 4;
  }
  return exit_usage;
}

std::string_view name(Cause cause) {
  switch (cause) {
    case Cause::environment:
      return "environment";
    case Cause::state_edited:
      return "state_edited";
    case Cause::rng:
      return "rng";
    case Cause::batch:
      return "batch";
    case Cause::hyper:
      return "hyper";
    case Cause::forward:
      return "forward";
    case Cause::backward:
      return "backward";
    case Cause::update:
      return "update";
    case Cause::nondeterministic:
      return "nondeterministic";
    case Cause::structure:
      return "structure";
    case Cause::ended:
      return "ended";
  }
  return "";
}

std::string_view name(LaneOutcome outcome) {
  switch (outcome) {
    case LaneOutcome::not_compared:
      return "not_compared";
    case LaneOutcome::equal:
      return "equal";
    case LaneOutcome::differs:
      return "differs";
    case LaneOutcome::partly:
      return "partly";
    case LaneOutcome::absent:
      return "absent";
    case LaneOutcome::given:
      return "given";
  }
  return "";
}

nlohmann::json to_json(const Verdict& verdict) {
  nlohmann::json json = nlohmann::json::object();
  json["verdict"] = name(verdict.outcome);
  json["class"] = verdict.cause ? nlohmann::json(name(*verdict.cause)) : nlohmann::json();
  json["step"] = or_null(verdict.step);
  json["last_same_step"] = or_null(verdict.last_same_step);
  json["lane"] = verdict.lane ? nlohmann::json(name(*verdict.lane)) : nlohmann::json();
  json["tensor"] = or_null(verdict.tensor);
  json["operator"] = or_null(verdict.op);
  json["lanes"] = lanes_json(verdict.lanes);
  json["partly"] = partly_json(verdict.lanes);
  json["steps_compared"] = verdict.steps_compared;
  json["method"] = verdict.method;
  json["evidence"] = verdict.evidence;
  json["suspects"] = verdict.suspects;
  json["limits"] = verdict.limits;
  json["reproduce"] = or_null(verdict.reproduce);
  return json;
}

}  // namespace samestep
