// Which of the differences between two environments make a training diverge: delta debugging, as pure code over a trial
// callback. No process, no file.
//
// The search is ddmin: A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE Transactions
// on Software Engineering 28(2), 2002, section 3.2. It begins with all items, which diverge, keeps the first part or
// the first complement of a part that still does, and halves the parts where none does; a set that is flaky or
// untestable is neither. What it ends with is 1-minimal: it diverges, and without any one of its items it does not.
// Nothing is assumed about how items act together, so it is one such set, and there may be others.
//
// One answer decides as long as all speak for a program that repeats itself. From the first flaky answer or
// contradiction on, a set is asked until the doubt in its majority (bisect/noise.h) is small, and what was decided
// before is weighed again; `diverged` counts as two answers, for it is called where two replays agree. Nothing is
// accused on one sample: the set that is named has diverged twice at least, and each set with one item less was the
// same twice, until the doubts of all of them together are below accusation_risk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bisect/tally.h"
#include "bisect/trial.h"

namespace samestep {

// Items by number, ascending.
using ItemSet = std::vector<std::size_t>;
// One trial with the items of `in` as in the other environment, and all others as recorded.
using ItemTrial = std::function<TrialAnswer(const ItemSet& in)>;

enum class DeltaConclusion : std::uint8_t {
  minimal,       // `set`, proven
  open,          // `set` diverges; that each of its items is needed could not be shown
  reproduces,    // with all items in, the run is reproduced: none of them makes a difference
  not_restored,  // with no item in it still diverges: something that is no item does it
  flaky,         // an end differs from itself
  untestable,    // an end cannot be tried
};
[[nodiscard]] std::string_view name(DeltaConclusion conclusion);

struct TriedSet {
  ItemSet in;
  Tally tally;
};

struct DeltaAnswer {
  DeltaConclusion conclusion = DeltaConclusion::untestable;
  ItemSet set;
  std::optional<TrialAnswer> divergence;  // of `set`; of no item where that is what diverges
  bool others_diverge = false;            // all items but those of `set` diverge as well: there is another cause
  std::vector<TriedSet> tried;            // in the order of their first trials
  std::string why;                        // one sentence where the conclusion is not `minimal`
  std::uint64_t trials = 0, untestable = 0, flaky = 0, steps_replayed = 0;
  std::uint64_t contradictions = 0;  // answers that others about the same set outvoted
  double wrong_accusation = 0;       // estimated, of `minimal`
};

// REQUIRES items > 0. Asks at most `most_trials`; what is known by then is the answer.
[[nodiscard]] DeltaAnswer find_minimal_set(std::size_t items, const ItemTrial& trial, std::uint64_t most_trials = 1000);

}  // namespace samestep
