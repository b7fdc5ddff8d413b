#include "bisect/trial.h"

#include <algorithm>

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

TrialOutcome mostly(const std::vector<TrialAnswer>& answers) {
  const auto count = [&](TrialOutcome outcome) { return std::ranges::count(answers, outcome, &TrialAnswer::outcome); };
  const auto same = count(TrialOutcome::same), diverged = count(TrialOutcome::diverged);
  if (same + diverged > 0) return diverged > same ? TrialOutcome::diverged : TrialOutcome::same;
  return count(TrialOutcome::flaky) > 0 ? TrialOutcome::flaky : TrialOutcome::untestable;
}

}  // namespace samestep
