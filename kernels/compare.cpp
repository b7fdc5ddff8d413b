#include "kernels/compare.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <ostream>

#include "kernels/summary/reals.h"

namespace samestep {
namespace {

using namespace summary;

template <std::size_t bytes>
struct BitsOf;
template <>
struct BitsOf<1> {
  using type = std::uint8_t;
};
template <>
struct BitsOf<2> {
  using type = std::uint16_t;
};
template <>
struct BitsOf<4> {
  using type = std::uint32_t;
};
template <>
struct BitsOf<8> {
  using type = std::uint64_t;
};

// The position of a real among all of its type: for integers themselves; floats, which are sign and magnitude, count
// away from zero.
template <class Real>
__int128 position(Real x) {
  if constexpr (std::integral<Real>) {
    return x;
  } else {
    using Bits = typename BitsOf<sizeof(Real)>::type;
    constexpr int sign = 8 * sizeof(Real) - 1;
    const auto bits = std::bit_cast<Bits>(x);
    const auto magnitude = static_cast<__int128>(bits & ((Bits{1} << sign) - 1));
    return bits >> sign ? -magnitude : magnitude;
  }
}

template <class Real>
void add_error(Comparison& comparison, Real a, Real b) {
  const double x = to_double(a), y = to_double(b);
  const bool finite_a = std::isfinite(x), finite_b = std::isfinite(y);
  comparison.nonfinite_a += !finite_a;
  comparison.nonfinite_b += !finite_b;
  const __int128 distance = position(a) - position(b);
  const auto ulp = static_cast<std::uint64_t>(distance < 0 ? -distance : distance);
  if (!finite_a || !finite_b || ulp == 0) return;
  // 64-bit integers are subtracted as integers: as doubles, neighbours would be equal.
  const double error = std::integral<Real> ? static_cast<double>(ulp) : std::abs(x - y);
  comparison.max_abs = std::max(comparison.max_abs, error);
  comparison.max_relative = std::max(comparison.max_relative, error / std::max(std::abs(x), std::abs(y)));
  comparison.max_ulp = std::max(comparison.max_ulp, ulp);
}

template <class Real>
void compare_reals(Comparison& comparison, const Real* a, const Real* b, std::uint64_t parts) {
  for (std::uint64_t i = 0; i < comparison.elements; ++i) {
    for (std::uint64_t part = i * parts; part < (i + 1) * parts; ++part) add_error(comparison, a[part], b[part]);
    if (std::memcmp(a + i * parts, b + i * parts, parts * sizeof(Real)) == 0) continue;
    ++comparison.differing;
    if (!comparison.first) comparison.first = i;
  }
}

}  // namespace

Comparison compare(const TypedBuffer& a, const TypedBuffer& b) {
  Comparison comparison;
  comparison.elements = a.elements;
  visit_real(a.dtype, [&]<class Real>(TypeOf<Real>) {
    compare_reals(comparison, static_cast<const Real*>(a.data), static_cast<const Real*>(b.data), reals_of(a.dtype));
  });
  return comparison;
}

std::ostream& operator<<(std::ostream& out, const Comparison& comparison) {
  if (comparison.same()) return out << "equal";
  out << comparison.differing << " of " << comparison.elements << " elements differ, first at " << *comparison.first
      << "; max error " << comparison.max_abs << " absolute, " << comparison.max_relative << " relative, "
      << comparison.max_ulp << " ULP";
  if (comparison.nonfinite_a + comparison.nonfinite_b > 0)
    out << "; not finite: " << comparison.nonfinite_a << " and " << comparison.nonfinite_b;
  return out;
}

}  // namespace samestep
