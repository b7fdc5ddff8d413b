// How two tensors of one dtype and size differ, element by element: for reports, where both sides are at hand.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>

#include "kernels/summary.h"

namespace samestep {

// Elements differ where their bits do: two NaNs of the same bits are equal, +0 and -0 are not. The errors are over the
// reals (complex elements have two) of differing elements that are finite on both sides.
struct Comparison {
  std::uint64_t elements = 0;
  std::uint64_t differing = 0;
  std::optional<std::uint64_t> first;  // index of the first differing element
  double max_abs = 0;                  // |a - b|, in double precision
  double max_relative = 0;             // |a - b| / max(|a|, |b|)
  std::uint64_t max_ulp = 0;           // representable numbers from a to b; for integers |a - b|; +0 and -0 are one number
  std::uint64_t nonfinite_a = 0;       // reals, differing or not
  std::uint64_t nonfinite_b = 0;

  [[nodiscard]] bool same() const { return differing == 0; }
  friend bool operator==(const Comparison&, const Comparison&) = default;
};

// REQUIRES a.dtype == b.dtype and a.elements == b.elements.
[[nodiscard]] Comparison compare(const TypedBuffer& a, const TypedBuffer& b);

// "equal", or "3 of 4096 elements differ, first at 17; max error 0.5 absolute, 0.25 relative, 4194304 ULP; ...".
std::ostream& operator<<(std::ostream& out, const Comparison& comparison);

}  // namespace samestep
