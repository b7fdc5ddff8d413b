// The program's own threads, for kernels/.
#pragma once

#include "kernels/parallel.h"

namespace samestep::capture {

// Runs in LibTorch's parallel region, with the number of threads the program has set: no second pool competes with it.
[[nodiscard]] ParallelFor torch_parallel();

// From here on no such region is opened: in a forked process GNU's OpenMP waits forever for its parent's threads.
void stay_on_one_thread();

}  // namespace samestep::capture
