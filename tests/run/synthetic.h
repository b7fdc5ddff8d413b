// Step records without a training program: digests drawn from a seed, for tests and benchmarks of the log.
#pragma once

#include <cstdint>

#include "replay/run/record.h"

namespace samestep {

// What a synthetic run looks like.
struct SyntheticRun {
  std::size_t parameters = 8;
  std::uint64_t seed = 1;
  std::uint64_t parts_at = ~std::uint64_t{0};  // from this step on it draws other digests: the run diverges here
};

// Parameters of shape [16, 8 + i], one generator, eight hyper-parameters, two state tensors a parameter, one AdamW.
[[nodiscard]] Layout synthetic_layout(const SyntheticRun& run);

// The whole record of step `step`, all lanes captured as the schedule says, lane digests computed; weights_in equals
// the weights_out of the step before. Summaries where they are due.
[[nodiscard]] StepRecord synthetic_record(const SyntheticRun& run, const Layout& layout, std::uint64_t step);

}  // namespace samestep
