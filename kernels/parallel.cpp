#include "kernels/parallel.h"

namespace samestep {

const ParallelFor& serial() {
  static const ParallelFor loop{[](std::size_t count, const ParallelFor::Body& body) { body(0, count); }, 1};
  return loop;
}

}  // namespace samestep
