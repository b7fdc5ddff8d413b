#include "bisect/trial_text.h"

#include <fmt/format.h>

namespace samestep {

std::string outcome_and_step(const TrialAnswer& answer) {
  std::string text(name(answer.outcome));
  if (answer.step) text += fmt::format(" at step {}", *answer.step);
  if (answer.lane) text += fmt::format(" in {}", name(*answer.lane));
  return text;
}

}  // namespace samestep
