// The reference: eight lanes that are an array.
#include "kernels/summary/blocks.h"

namespace samestep::summary {
namespace {

struct Array8 {
  double lane[8];

  static Array8 zero() { return {}; }
  template <class Real>
    requires(sizeof(Real) == 0)  // everything is converted first
  static Array8 load(const Real*);
  static Array8 load(const double* reals) {
    Array8 x;
    for (int l = 0; l < 8; ++l) x.lane[l] = reals[l];
    return x;
  }
  static Array8 finite_or_zero(Array8 x, unsigned& finite) {
    finite = 0;
    for (int l = 0; l < 8; ++l) {
      const bool is_finite = __builtin_isfinite(x.lane[l]);
      finite |= static_cast<unsigned>(is_finite) << l;
      if (!is_finite) x.lane[l] = 0;
    }
    return x;
  }
  static Array8 negate_where(Array8 x, unsigned bits) {
    for (int l = 0; l < 8; ++l) x.lane[l] = bits >> l & 1 ? -x.lane[l] : x.lane[l];
    return x;
  }
  static Array8 permute(Array8 x, unsigned r) {
    Array8 y;
    for (unsigned l = 0; l < 8; ++l) y.lane[l] = x.lane[l ^ r];
    return y;
  }
  static Array8 larger(Array8 largest, Array8 x) {
    for (int l = 0; l < 8; ++l) {
      const double magnitude = __builtin_fabs(x.lane[l]);
      largest.lane[l] = magnitude > largest.lane[l] ? magnitude : largest.lane[l];
    }
    return largest;
  }
  void store(double* out) const {
    for (int l = 0; l < 8; ++l) out[l] = lane[l];
  }
  friend Array8 operator+(Array8 a, Array8 b) {
    for (int l = 0; l < 8; ++l) a.lane[l] += b.lane[l];
    return a;
  }
  friend Array8 operator*(Array8 a, Array8 b) {
    for (int l = 0; l < 8; ++l) a.lane[l] *= b.lane[l];
    return a;
  }
};

}  // namespace

const BlockKernel scalar_blocks = summarize_blocks_of<Array8>;

}  // namespace samestep::summary
