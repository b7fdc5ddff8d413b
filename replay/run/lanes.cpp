#include "replay/run/lanes.h"

namespace samestep {

std::string_view name(Lane lane) {
  switch (lane) {
    case Lane::weights_in:
      return "weights_in";
    case Lane::rng:
      return "rng";
    case Lane::batch:
      return "batch";
    case Lane::hyper:
      return "hyper";
    case Lane::loss:
      return "loss";
    case Lane::gradients:
      return "gradients";
    case Lane::optimizer:
      return "optimizer";
    case Lane::weights_out:
      return "weights_out";
    case Lane::state:
      return "state";
  }
  return "";
}

std::optional<Lane> lane_from_name(std::string_view text) {
  for (const Lane lane : all_lanes) {
    if (name(lane) == text) return lane;
  }
  return std::nullopt;
}

std::string_view describe(AbsentReason reason) {
  switch (reason) {
    case AbsentReason::none:
      return "no reason given";
    case AbsentReason::off_schedule:
      return "not read at this step";
    case AbsentReason::batch_not_given:
      return "the program never called step.batch()";
    case AbsentReason::loss_not_given:
      return "the program never called step.loss()";
    case AbsentReason::unknown_optimizer:
      return "the state of this optimizer class cannot be read";
    case AbsentReason::nothing_there:
      return "there is nothing to read";
  }
  return "unknown reason";
}

}  // namespace samestep
