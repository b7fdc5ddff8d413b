// Elements as real numbers. Every conversion is exact but those of 64-bit integers, which round to nearest even. Shared
// by host and device code; REQUIRES that subnormal numbers are not flushed.
#pragma once

#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/inline.h"

namespace samestep::summary {

struct Half { std::uint16_t bits; };      // IEEE 754 binary16
struct BFloat16 { std::uint16_t bits; };  // the upper half of a binary32
struct Float8E4M3 { std::uint8_t bits; };  // OCP 8-bit, "fn": no infinities, NaN is all ones
struct Float8E5M2 { std::uint8_t bits; };  // the upper half of a binary16

template <class To, class From>
SAMESTEP_INLINE To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

SAMESTEP_INLINE double infinity() { return same_bits<double>(std::uint64_t{0x7FF0000000000000}); }

// 2^exponent, a normal number.
SAMESTEP_INLINE float power_of_two(int exponent) {
  return same_bits<float>(static_cast<std::uint32_t>(127 + exponent) << 23);
}
// `sign` is 0x80000000 or 0; a magnitude beyond the largest finite one becomes infinite.
SAMESTEP_INLINE double with_sign(float magnitude, bool finite, std::uint32_t sign) {
  const std::uint32_t bits = finite ? same_bits<std::uint32_t>(magnitude) : 0x7F800000u;
  return static_cast<double>(same_bits<float>(bits | sign));
}

// A short format's exponent and fraction, moved to where a float has them, are a (perhaps subnormal) float that is too
// small by the difference of the exponents' biases: one exact multiplication, for subnormal numbers too.
SAMESTEP_INLINE double to_double(Half x) {
  const std::uint32_t magnitude = x.bits & 0x7FFFu;
  return with_sign(same_bits<float>(magnitude << 13) * power_of_two(127 - 15), magnitude < 0x7C00,
                   (x.bits & 0x8000u) << 16);
}

SAMESTEP_INLINE double to_double(Float8E4M3 x) {
  const std::uint32_t magnitude = x.bits & 0x7Fu;
  return with_sign(same_bits<float>(magnitude << 20) * power_of_two(127 - 7), magnitude < 0x7F, (x.bits & 0x80u) << 24);
}

SAMESTEP_INLINE double to_double(Float8E5M2 x) { return to_double(Half{static_cast<std::uint16_t>(x.bits << 8)}); }

SAMESTEP_INLINE double to_double(BFloat16 x) {
  return static_cast<double>(same_bits<float>(static_cast<std::uint32_t>(x.bits) << 16));
}

template <class Number>
SAMESTEP_INLINE double to_double(Number x) {
  return static_cast<double>(x);
}

template <class Real>
struct TypeOf {
  using type = Real;
};

// Calls visitor(TypeOf<Real>{}) with the type of a tensor's reals: one an element, two where it is complex.
#if defined(__CUDACC__)
#pragma nv_exec_check_disable  // the visitor is device code where this is called by device code
#endif
template <class Visitor>
SAMESTEP_INLINE void visit_real(DType dtype, const Visitor& visitor) {
  switch (dtype) {
    case DType::boolean:
    case DType::u8: return visitor(TypeOf<std::uint8_t>{});
    case DType::i8: return visitor(TypeOf<std::int8_t>{});
    case DType::i16: return visitor(TypeOf<std::int16_t>{});
    case DType::u16: return visitor(TypeOf<std::uint16_t>{});
    case DType::i32: return visitor(TypeOf<std::int32_t>{});
    case DType::u32: return visitor(TypeOf<std::uint32_t>{});
    case DType::i64: return visitor(TypeOf<std::int64_t>{});
    case DType::u64: return visitor(TypeOf<std::uint64_t>{});
    case DType::f16: return visitor(TypeOf<Half>{});
    case DType::bf16: return visitor(TypeOf<BFloat16>{});
    case DType::f32:
    case DType::c64: return visitor(TypeOf<float>{});
    case DType::f64:
    case DType::c128: return visitor(TypeOf<double>{});
    case DType::f8_e4m3: return visitor(TypeOf<Float8E4M3>{});
    case DType::f8_e5m2: return visitor(TypeOf<Float8E5M2>{});
  }
}

// Reals of one element.
SAMESTEP_CONSTEXPR std::uint64_t reals_of(DType dtype) { return dtype == DType::c64 || dtype == DType::c128 ? 2 : 1; }
// Bytes of one syndrome unit, and how many of them one element has.
SAMESTEP_CONSTEXPR std::uint64_t unit_bytes(std::uint64_t element_bytes) { return element_bytes < 4 ? element_bytes : 4; }

}  // namespace samestep::summary
