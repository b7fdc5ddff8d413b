// What a trial answered, in words.
#pragma once

#include <string>

#include "bisect/trial.h"

namespace samestep {

// "diverged at step 12 in gradients"
[[nodiscard]] std::string outcome_and_step(const TrialAnswer& answer);

}  // namespace samestep
