// Sentences that sharpen a first difference, from what the two records and their neighbours hold. Each is empty where
// it has nothing to say.
#pragma once

#include <string>
#include <vector>

#include "replay/compare/diff.h"
#include "replay/compare/verdict.h"

namespace samestep::evidence {

// What every sentence is made from: the first step that differs, on both sides.
struct Scene {
  const RunSide& a;
  const RunSide& b;
  const Difference& difference;
  StepRecord record_a;
  StepRecord record_b;
};

// "gradients of head.weight are -1 times those of A": the sketches of both sides are proportional.
[[nodiscard]] std::string gradient_scale(const Scene& scene);
// Which side's tensors changed between the update of the step before and this step's forward pass.
[[nodiscard]] std::string edited_side(const Scene& scene);
// "B's batch is A's of step 0: the order of the data started over"; likewise for rng.
[[nodiscard]] std::string replayed_earlier(const Scene& scene);
// The losses of both sides at this step.
[[nodiscard]] std::string losses(const Scene& scene);
// Estimated distance of the weights at the first step from here on that has sketches, and at the last common step.
[[nodiscard]] std::vector<std::string> distances(const Scene& scene);
// Where detail was thinned: what the nearest later step with per-tensor digests says.
[[nodiscard]] std::string nearest_detail(const Scene& scene);
// Steps, wall time and device-hours (one device a process) that each run spent after the divergence.
[[nodiscard]] std::string cost(const Scene& scene);
// Columns whose names differ and nothing else: "old.weight is new.weight".
[[nodiscard]] std::string renames(const Layout& a, const Layout& b);

}  // namespace samestep::evidence
