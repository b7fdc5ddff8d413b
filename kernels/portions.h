// How the work of one call is cut for the threads of a ParallelFor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace samestep {

// How many portions `cost` units of work are cut into for `threads` threads: a multiple of the threads, so that a
// runner that gives each thread one range of portions gives each the same work; four for each thread, so that one that
// falls behind costs little where portions are handed out one by one; of at least `least` units and about `most` at
// most.
[[nodiscard]] inline std::size_t portions_for(std::size_t cost, std::size_t threads, std::size_t least,
                                              std::size_t most) {
  threads = std::max<std::size_t>(threads, 1);
  const std::size_t small_enough = (cost / most + threads) / threads;
  const std::size_t large_enough = cost / (least * threads);
  return threads * std::max<std::size_t>(1, std::min(std::max<std::size_t>(4, small_enough), large_enough));
}

// Bounds of at most `portions` consecutive portions of `count` items: portion i is items [bounds[i], bounds[i + 1]).
// Each bound lies where the items before it have reached their share of `total`, the cost of all items; cost_of(i) is
// the cost of item i. Results must not depend on it.
template <class CostOf>
[[nodiscard]] std::vector<std::size_t> cut_into_portions(std::size_t count, std::size_t portions, std::size_t total,
                                                         const CostOf& cost_of) {
  std::vector<std::size_t> bounds = {0};
  std::size_t filled = 0;
  for (std::size_t i = 0; i < count; ++i) {
    filled += cost_of(i);
    if (filled * portions >= bounds.size() * total) bounds.push_back(i + 1);
  }
  if (bounds.back() != count) bounds.push_back(count);
  return bounds;
}

}  // namespace samestep
