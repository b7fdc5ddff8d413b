// From the recordings of a check to its verdict. Pure: no process, no file but the recordings.
#pragma once

#include <string>
#include <vector>

#include "replay/compare/verdict.h"
#include "replay/resume/take_up.h"
#include "replay/run/step_source.h"

namespace samestep {

// A is the uninterrupted run in each.

// How two uninterrupted runs of the program compare, over the steps that both have: `same`, or `flaky`, for then
// nothing can be said of its resume. `incomparable` where they have none in common.
[[nodiscard]] Verdict judge_repetition(const StepSource& whole, const StepSource& again, const std::string& label);

// What a resume did that took up at *taken.step, after step 0 and no later than the killed run came. `ended`: how it
// ended; "closed" where it did all it meant to. A divergence is yet to be confirmed by judge_repetition() over its
// step.
[[nodiscard]] Verdict judge_resume(const StepSource& whole, const StepSource& killed, const StepSource& resumed,
                                   const TakeUp& taken, const std::string& ended);

// Of a resume whose weights no recorded step has: `diverged` in weights_in. Where the weights of some of its tensors
// are those before one step of the first `reach` + 1, and of more tensors than at any other, that step is named, and
// the first tensor that is not.
[[nodiscard]] Verdict judge_unknown_weights(const StepSource& whole, const StepSource& resumed, std::uint64_t reach);

}  // namespace samestep
