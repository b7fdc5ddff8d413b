// The first step at which two runs part, from their chains alone: equal chains at t mean that everything up to t is
// equal, so it is a binary search with two reads of 32 bytes a probe.
#pragma once

#include <cstdint>
#include <optional>

#include "replay/run/step_source.h"

namespace samestep {

struct StepRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  // one past the last
  [[nodiscard]] bool empty() const { return begin >= end; }
  [[nodiscard]] std::uint64_t size() const { return empty() ? 0 : end - begin; }
};

// The steps that both have.
[[nodiscard]] StepRange common_steps(const StepSource& a, const StepSource& b);

struct Parting {
  std::optional<std::uint64_t> step;  // nullopt: the range is equal
  bool by_roots = false;              // the chains began at different states, so the steps' roots were read one by one
  bool maybe_earlier = false;         // the runs differ at the range's first step, and one of them has earlier steps
};

// The first step of `range` whose root differs. REQUIRES !range.empty() and both sources to have it.
// Reads 2 * (2 + log2(size)) chains, unless the chains of two runs that did not begin at the same step are not
// comparable: then one record a step and side.
[[nodiscard]] Parting first_parting(const StepSource& a, const StepSource& b, StepRange range);

}  // namespace samestep
