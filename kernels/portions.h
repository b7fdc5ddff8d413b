// How the work of one call is cut for the threads of a ParallelFor.
#pragma once

#include <cstddef>
#include <vector>

namespace samestep {

// Bounds of consecutive portions of `count` items: portion i is items [bounds[i], bounds[i + 1]). Each costs at least
// `target`, as far as there are items left; cost_of(i) is the cost of item i. Results must not depend on it.
template <class CostOf>
[[nodiscard]] std::vector<std::size_t> cut_into_portions(std::size_t count, std::size_t target, const CostOf& cost_of) {
  std::vector<std::size_t> bounds = {0};
  std::size_t filled = 0;
  for (std::size_t i = 0; i < count; ++i) {
    filled += cost_of(i);
    if (filled < target) continue;
    bounds.push_back(i + 1);
    filled = 0;
  }
  if (bounds.back() != count) bounds.push_back(count);
  return bounds;
}

}  // namespace samestep
