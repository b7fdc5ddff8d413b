#include "replay/compare/search.h"

#include <algorithm>

namespace samestep {
namespace {

bool equal_chains(const StepSource& a, const StepSource& b, std::uint64_t step) {
  return a.chain(step) == b.chain(step);
}

bool equal_roots(const StepSource& a, const StepSource& b, std::uint64_t step) {
  return a.record(step).root == b.record(step).root;
}

// REQUIRES equal chains at `low`, unequal ones at `high`.
std::uint64_t search(const StepSource& a, const StepSource& b, std::uint64_t low, std::uint64_t high) {
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (equal_chains(a, b, middle) ? low : high) = middle;
  }
  return high;
}

Parting walk(const StepSource& a, const StepSource& b, StepRange range) {
  for (std::uint64_t step = range.begin; step < range.end; ++step) {
    if (!equal_roots(a, b, step)) return {.step = step, .by_roots = true};
  }
  return {.step = std::nullopt, .by_roots = true};
}

}  // namespace

StepRange common_steps(const StepSource& a, const StepSource& b) {
  return {std::max(a.first_step(), b.first_step()), std::min(a.end_step(), b.end_step())};
}

Parting first_parting(const StepSource& a, const StepSource& b, StepRange range) {
  const std::uint64_t last = range.end - 1;
  if (equal_chains(a, b, last)) return {};
  if (equal_chains(a, b, range.begin)) return {.step = search(a, b, range.begin, last)};
  if (equal_roots(a, b, range.begin)) return walk(a, b, range);  // equal steps on top of chains that began elsewhere
  return {.step = range.begin, .maybe_earlier = std::min(a.first_step(), b.first_step()) < range.begin};
}

}  // namespace samestep
