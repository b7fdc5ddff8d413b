#include "bisect/trial.h"

namespace samestep {

std::string_view name(TrialOutcome outcome) {
  switch (outcome) {
    case TrialOutcome::same:
      return "same";
    case TrialOutcome::diverged:
      return "diverged";
    case TrialOutcome::flaky:
      return "flaky";
    case TrialOutcome::untestable:
      return "untestable";
  }
  return "untestable";
}

}  // namespace samestep
