// The caller's way to run a loop on several threads. kernels/ owns no threads: inside a training program the work runs
// in LibTorch's own parallel region (capture passes at::parallel_for), so that no second pool competes with it.
#pragma once

#include <cstddef>
#include <functional>

namespace samestep {

// Runs body(begin, end) over disjoint ranges that cover [0, count), possibly at once on several threads; returns when
// all are done. `threads` is how many run at most; results never depend on it.
struct ParallelFor {
  using Body = std::function<void(std::size_t begin, std::size_t end)>;
  std::function<void(std::size_t count, const Body& body)> run;
  std::size_t threads = 1;
};

// One call of body(0, count) on the calling thread.
[[nodiscard]] const ParallelFor& serial();

}  // namespace samestep
