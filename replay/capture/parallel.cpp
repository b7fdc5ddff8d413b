// The one file compiled with OpenMP: at::parallel_for is a template that opens the region where it is instantiated.
#include "replay/capture/parallel.h"

#include <ATen/Parallel.h>

#include <atomic>

namespace samestep::capture {

namespace {
std::atomic<bool> one_thread = false;
}  // namespace

void stay_on_one_thread() {
  one_thread = true;
}

ParallelFor torch_parallel() {
  if (one_thread) return serial();
  const auto run = [](std::size_t count, const ParallelFor::Body& body) {
    at::parallel_for(0, static_cast<std::int64_t>(count), 1, [&](std::int64_t begin, std::int64_t end) {
      body(static_cast<std::size_t>(begin), static_cast<std::size_t>(end));
    });
  };
  return {run, static_cast<std::size_t>(at::get_num_threads())};
}

}  // namespace samestep::capture
