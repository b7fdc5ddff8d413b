// The first step at which a revision parts from a recorded run. Whoever starts from a recorded state need not replay
// what comes before it: windows between anchors are tried, and those before and after are told apart by halves. Pure
// code.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bisect/trial.h"

namespace samestep {

// Tries the revision over the steps from <= t < to, starting from the anchor `from`.
using TrialOfSteps = std::function<TrialAnswer(std::uint64_t from, std::uint64_t to)>;

struct FirstDivergence {
  TrialAnswer answer;      // `same` where the revision reproduces everything; its step is the first that differs
  std::string assumption;  // empty where every step before it was replayed; else a sentence
  std::uint64_t cost = 0;  // steps replayed, all windows together
};

// `starts`: the run's first step, then the steps of its anchors, rising; `end`: one past its last step. Assumed is that
// a revision that differs from a step on differs in every later window too. Where the first and the last window do not
// speak for that, or a window has no clear answer, the whole run is tried. REQUIRES at least one start.
[[nodiscard]] FirstDivergence find_first_divergence(const std::vector<std::uint64_t>& starts, std::uint64_t end,
                                                    const TrialOfSteps& trial);

}  // namespace samestep
