// Two runs in, one verdict out: the step by binary search on the chains, then lane and tensor from the two records,
// then what else the records say about the cause.
#pragma once

#include <string>

#include "replay/compare/verdict.h"
#include "replay/run/step_source.h"

namespace samestep {

struct RunSide {
  const StepSource& steps;
  std::string label;             // how sentences call it: "A", "the recording"
  std::string ended = "closed";  // how its last segment ended; only "closed" means that it did all it meant to
  std::vector<std::uint64_t> milestones{};  // steps at which lanes outside the root were read: before anchors
};

// Never `tampered` or `flaky`: TamperedInput passes through, and flakiness takes a second run to see. `same` only where
// at least one step is in both and every common one agrees; where one run is shorter, the common steps are judged if
// the shorter one did not end by itself, else the verdict is `diverged`, class `ended`. Whether the sources are what
// was written is the caller's to check (RunReader::check_integrity) before it says `same`.
[[nodiscard]] Verdict diff(const RunSide& a, const RunSide& b);

// Fills step, lane, tensor, class and evidence from a difference that a comparison of records found. `a` and `b` must
// have the step; neighbours that they have are read for the evidence.
void explain(Verdict& verdict, const Difference& difference, const RunSide& a, const RunSide& b);

}  // namespace samestep
