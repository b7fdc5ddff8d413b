// How a lane fared over many steps, from its counts.
#include <fmt/format.h>

#include <algorithm>

#include "replay/compare/verdict.h"

namespace samestep {
namespace {

std::string steps(std::uint64_t count) {
  return fmt::format("{} step{}", count, count == 1 ? "" : "s");
}

std::string missing(const LaneTally& tally) {
  if (tally.one_sided == 0) return fmt::format("at {} it was given, not computed", steps(tally.given));
  std::string text = fmt::format("at {} only one side has it", steps(tally.one_sided));
  if (tally.given > 0) text += fmt::format(", at {} it was given", steps(tally.given));
  return text;
}

// It is read at anchors and where a segment begins, and stands outside the chain.
std::string state_limit(const LaneTally& tally) {
  if (tally.equal == 0 || tally.absent == 0) return "";
  return fmt::format(
      "the lane state (schedulers, gradient scalers, modules without an optimizer, what samestep.state or session.keep "
      "names) was compared at {} only: it is read at anchors and where a segment begins",
      steps(tally.equal));
}

std::string limit(Lane lane, const LaneTally& tally) {
  if (lane == Lane::state && tally.outcome() == LaneOutcome::equal) return state_limit(tally);
  switch (tally.outcome()) {
    case LaneOutcome::partly:
      return fmt::format("the lane {} was compared at {}; {}", name(lane), steps(tally.compared()), missing(tally));
    case LaneOutcome::absent:
      if (lane == Lane::state && tally.one_sided == 0) return "";
      return fmt::format("the lane {} is absent {} and was not compared", name(lane),
                         tally.one_sided > 0 ? "in one run" : "on both sides at these steps");
    case LaneOutcome::given:
      return fmt::format("the lane {} was given to the program, so its equality says nothing", name(lane));
    default:
      return "";
  }
}

}  // namespace

LaneOutcome LaneTally::outcome() const {
  if (differs > 0) return LaneOutcome::differs;
  if (equal > 0) return missed() > 0 ? LaneOutcome::partly : LaneOutcome::equal;
  if (one_sided > 0) return LaneOutcome::absent;
  if (given > 0) return LaneOutcome::given;
  return absent > 0 ? LaneOutcome::absent : LaneOutcome::not_compared;
}

bool any_lane_compared(const LaneTallies& lanes) {
  return std::ranges::any_of(lanes, [](const LaneTally& tally) { return tally.equal > 0; });
}

std::vector<std::string> lane_limits(const LaneTallies& lanes) {
  std::vector<std::string> sentences;
  for (Lane lane : all_lanes) {
    std::string sentence = limit(lane, lanes[static_cast<std::size_t>(lane)]);
    if (!sentence.empty()) sentences.push_back(std::move(sentence));
  }
  return sentences;
}

std::string missing_batch(const LaneTallies& lanes, const std::string& a, const std::string& b) {
  const LaneTally& batch = lanes[static_cast<std::size_t>(Lane::batch)];
  if (batch.one_sided == 0) return "";
  const std::string side = batch.first_has == batch.one_sided ? b : batch.first_has == 0 ? a : "one side or the other";
  return fmt::format(
      "{} has no batch at {} where the other side has one: usually the model was called in evaluation mode there (a "
      "train() that is missing after eval()), or not at all",
      side, steps(batch.one_sided));
}

}  // namespace samestep
