// Eight reals in one register. Compiled with -mavx512f and friends; see blake3/lanes.h for what such a unit must not do.
#include <immintrin.h>

#include "kernels/summary/blocks.h"

namespace samestep::summary {
namespace {

// For r = 0..7, which lanes l ^ r are.
struct OrderTable {
  alignas(64) std::uint64_t lane[8][8];
};
constexpr OrderTable make_orders() {
  OrderTable table{};
  for (unsigned r = 0; r < 8; ++r)
    for (unsigned lane = 0; lane < 8; ++lane) table.lane[r][lane] = lane ^ r;
  return table;
}
constexpr OrderTable orders = make_orders();

struct Reals8 {
  __m512d value;

  static Reals8 zero() { return {_mm512_setzero_pd()}; }
  static Reals8 load(const double* reals) { return {_mm512_loadu_pd(reals)}; }
  static Reals8 load(const float* reals) { return {_mm512_cvtps_pd(_mm256_loadu_ps(reals))}; }
  static Reals8 finite_or_zero(Reals8 x, unsigned& finite) {
    const __mmask8 mask = _mm512_cmp_pd_mask(_mm512_abs_pd(x.value), _mm512_set1_pd(infinity()), _CMP_LT_OQ);
    finite = mask;
    return {_mm512_maskz_mov_pd(mask, x.value)};
  }
  static Reals8 negate_where(Reals8 x, unsigned bits) {
    return {_mm512_mask_xor_pd(x.value, static_cast<__mmask8>(bits), x.value, _mm512_set1_pd(-0.0))};
  }
  static Reals8 permute(Reals8 x, unsigned r) {
    return {_mm512_permutexvar_pd(_mm512_load_si512(orders.lane[r]), x.value)};
  }
  static Reals8 larger(Reals8 largest, Reals8 x) { return {_mm512_max_pd(_mm512_abs_pd(x.value), largest.value)}; }
  void store(double* out) const { _mm512_storeu_pd(out, value); }
  friend Reals8 operator+(Reals8 a, Reals8 b) { return {_mm512_add_pd(a.value, b.value)}; }
  friend Reals8 operator*(Reals8 a, Reals8 b) { return {_mm512_mul_pd(a.value, b.value)}; }
};

}  // namespace

const BlockKernel avx512_blocks = summarize_blocks_of<Reals8>;

}  // namespace samestep::summary
