// Eight reals in two registers of four. Compiled with -mavx2; see blake3/lanes.h for what such a unit must not do.
#include <immintrin.h>

#include "kernels/summary/blocks.h"

namespace samestep::summary {
namespace {

// Sign masks of four lanes for every four bits.
struct SignTable {
  alignas(32) std::uint64_t mask[16][4];
};
constexpr SignTable make_signs() {
  SignTable table{};
  for (unsigned bits = 0; bits < 16; ++bits)
    for (unsigned lane = 0; lane < 4; ++lane) table.mask[bits][lane] = static_cast<std::uint64_t>(bits >> lane & 1) << 63;
  return table;
}
constexpr SignTable signs = make_signs();

// For r = 0..3, which 32-bit words lane l ^ r consists of.
struct OrderTable {
  alignas(32) std::uint32_t word[4][8];
};
constexpr OrderTable make_orders() {
  OrderTable table{};
  for (unsigned r = 0; r < 4; ++r)
    for (unsigned word = 0; word < 8; ++word) table.word[r][word] = word ^ 2 * r;
  return table;
}
constexpr OrderTable orders = make_orders();

inline __m256d magnitude(__m256d x) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), x); }
inline __m256d is_finite(__m256d x) {
  return _mm256_cmp_pd(magnitude(x), _mm256_set1_pd(infinity()), _CMP_LT_OQ);
}
inline __m256d flip(__m256d x, unsigned bits) {
  return _mm256_xor_pd(x, _mm256_load_pd(reinterpret_cast<const double*>(signs.mask[bits])));
}
inline __m256d reorder(__m256d x, unsigned r) {
  const __m256i words = _mm256_load_si256(reinterpret_cast<const __m256i*>(orders.word[r]));
  return _mm256_castsi256_pd(_mm256_permutevar8x32_epi32(_mm256_castpd_si256(x), words));
}

struct Pair4 {
  __m256d low, high;

  static Pair4 zero() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static Pair4 load(const double* reals) { return {_mm256_loadu_pd(reals), _mm256_loadu_pd(reals + 4)}; }
  static Pair4 load(const float* reals) {
    return {_mm256_cvtps_pd(_mm_loadu_ps(reals)), _mm256_cvtps_pd(_mm_loadu_ps(reals + 4))};
  }
  static Pair4 finite_or_zero(Pair4 x, unsigned& finite) {
    const __m256d low = is_finite(x.low), high = is_finite(x.high);
    finite = static_cast<unsigned>(_mm256_movemask_pd(low) | _mm256_movemask_pd(high) << 4);
    return {_mm256_and_pd(low, x.low), _mm256_and_pd(high, x.high)};
  }
  static Pair4 negate_where(Pair4 x, unsigned bits) { return {flip(x.low, bits & 15), flip(x.high, bits >> 4)}; }
  static Pair4 permute(Pair4 x, unsigned r) {
    const Pair4 y = {reorder(x.low, r & 3), reorder(x.high, r & 3)};
    const __m256d swap = _mm256_castsi256_pd(_mm256_set1_epi64x(-static_cast<long long>(r >> 2)));
    return {_mm256_blendv_pd(y.low, y.high, swap), _mm256_blendv_pd(y.high, y.low, swap)};
  }
  static Pair4 larger(Pair4 largest, Pair4 x) {
    return {_mm256_max_pd(magnitude(x.low), largest.low), _mm256_max_pd(magnitude(x.high), largest.high)};
  }
  void store(double* out) const {
    _mm256_storeu_pd(out, low);
    _mm256_storeu_pd(out + 4, high);
  }
  friend Pair4 operator+(Pair4 a, Pair4 b) { return {_mm256_add_pd(a.low, b.low), _mm256_add_pd(a.high, b.high)}; }
  friend Pair4 operator*(Pair4 a, Pair4 b) { return {_mm256_mul_pd(a.low, b.low), _mm256_mul_pd(a.high, b.high)}; }
};

}  // namespace

const BlockKernel avx2_blocks = summarize_blocks_of<Pair4>;

}  // namespace samestep::summary
