// The program's own threads, for kernels/.
#pragma once

#include "kernels/parallel.h"

namespace samestep::capture {

// Runs in LibTorch's parallel region, with the number of threads the program has set: no second pool competes with it.
[[nodiscard]] ParallelFor torch_parallel();

}  // namespace samestep::capture
