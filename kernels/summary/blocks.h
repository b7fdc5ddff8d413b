// The blocks of a tensor (tree.h), eight reals side by side. Included by one translation unit for each instruction set
// and by nobody else, for the reason that kernels/blake3/lanes.h gives.
//
// `Lanes` holds eight doubles:
//   static Lanes zero()
//   static Lanes load(const double*), load(const float*)   no alignment needed
//   static Lanes finite_or_zero(Lanes, unsigned& finite)   bit l of `finite`: lane l was finite
//   static Lanes negate_where(Lanes, unsigned bits)        lane l negated where bit l is set
//   static Lanes permute(Lanes, unsigned r)                lane l of the result = lane l ^ r
//   static Lanes larger(Lanes largest, Lanes x)            max(largest, |x|), lane by lane
//   void store(double*) const, and + and *
#pragma once

#include "kernels/summary/kernel.h"
#include "kernels/summary/reals.h"
#include "kernels/summary/tree.h"

namespace samestep::summary {

inline constexpr int groups = row_reals / 8;
// Reals that have to be converted first are so a few rows at a time, which stay in the first cache.
inline constexpr int slab_rows = 16;
inline constexpr int slab_reals = slab_rows * row_reals;

template <class Lanes>
struct Accumulators {
  Lanes sum[groups], square[groups], largest[groups], bucket[groups];
  std::uint64_t nonfinite;
};

template <class Lanes, class Real>
SAMESTEP_INLINE void add_group(Accumulators<Lanes>& total, const Real* slab, const std::uint64_t* words, int q) {
  Lanes sum = total.sum[q], square = total.square[q], largest = total.largest[q], bucket = total.bucket[q];
  for (int row = 0; row < slab_rows; ++row) {
    unsigned finite;
    const Lanes y = Lanes::finite_or_zero(Lanes::load(slab + row * row_reals + 8 * q), finite);
    if (finite != 0xFF) total.nonfinite += static_cast<unsigned>(8 - __builtin_popcount(finite));
    sum = sum + y;
    square = square + y * y;
    largest = Lanes::larger(largest, y);
    const Lanes signed_y = Lanes::negate_where(y, words[row] >> (8 * q) & 0xFF);
    bucket = bucket + Lanes::permute(signed_y, words[row] >> (32 + 3 * q) & 7);
  }
  total.sum[q] = sum;
  total.square[q] = square;
  total.largest[q] = largest;
  total.bucket[q] = bucket;
}

template <class Lanes, class Real>
void add_slab(Accumulators<Lanes>& total, const Real* slab, const std::uint64_t* words) {
  for (int q = 0; q < groups; ++q) add_group(total, slab, words, q);
}

template <class Real>
SAMESTEP_INLINE void convert(const Real* reals, int count, double* out) {
  for (int i = 0; i < count; ++i) out[i] = to_double(reals[i]);
}

// Adds `count` reals, at most a slab of them; float and double are read where they lie.
template <class Lanes, class Real>
void add_reals(Accumulators<Lanes>& total, const Real* reals, int count, const std::uint64_t* words) {
  if constexpr (requires { Lanes::load(reals); })
    if (count == slab_reals) return add_slab(total, reals, words);
  double slab[slab_reals];
  if (count == slab_reals) {
    convert(reals, slab_reals, slab);
  } else {
    convert(reals, count, slab);
    for (int i = count; i < slab_reals; ++i) slab[i] = 0;
  }
  add_slab(total, slab, words);
}

// Step 4 of tree.h, down to eight lanes.
template <class Lanes>
Lanes fold(const Lanes (&v)[groups]) {
  return (v[0] + v[2]) + (v[1] + v[3]);
}

template <class Lanes>
double fold_to_one(const Lanes (&v)[groups]) {
  double r[8];
  fold(v).store(r);
  for (int half = 4; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) r[l] = r[l] + r[l + half];
  return r[0];
}

template <class Lanes>
void store(const Accumulators<Lanes>& total, Partial& out) {
  out.sum = fold_to_one(total.sum);
  out.square = fold_to_one(total.square);
  fold(total.bucket).store(out.bucket);
  double largest[8];
  Lanes::larger(Lanes::larger(total.largest[0], total.largest[1]), Lanes::larger(total.largest[2], total.largest[3]))
      .store(largest);
  out.largest = 0;
  for (const double value : largest) out.largest = value > out.largest ? value : out.largest;
  out.nonfinite = total.nonfinite;
}

// Statistics and sketch of reals of block `block`, which has `count` of them.
template <class Lanes, class Real>
void add_block(const Real* reals, int count, std::uint64_t block, Partial& out) {
  std::uint64_t words[block_rows];
  for (int row = 0; row < block_rows; ++row) words[row] = row_word(block * block_rows + row);
  Accumulators<Lanes> total;
  for (int q = 0; q < groups; ++q)
    total.sum[q] = total.square[q] = total.largest[q] = total.bucket[q] = Lanes::zero();
  total.nonfinite = 0;
  for (int first = 0; first < count; first += slab_reals)
    add_reals(total, reals + first, count - first < slab_reals ? count - first : slab_reals, words + first / row_reals);
  store(total, out);
}

// Syndrome of the units of one block, `first` of which is the first. Exact, so the compiler may vectorize it its way.
template <class Lanes, class Unit>
void add_units(const Unit* units, int count, std::uint64_t first, Partial& out) {
  std::uint64_t sum = 0, weighted = 0;
  for (int i = 0; i < count; ++i) {
    sum += units[i];
    weighted += static_cast<std::uint64_t>(static_cast<std::uint32_t>(i)) * units[i];
  }
  set_syndrome(out, first, sum, weighted);
}

template <class Lanes, class Real>
void summarize_block(const Real* reals, int count, std::uint64_t block, Partial& out) {
  add_block<Lanes>(reals, count, block, out);
  if constexpr (sizeof(Real) == 1)
    add_units<Lanes>(reinterpret_cast<const std::uint8_t*>(reals), count, block * block_reals, out);
  else if constexpr (sizeof(Real) == 2)
    add_units<Lanes>(reinterpret_cast<const std::uint16_t*>(reals), count, block * block_reals, out);
  else
    add_units<Lanes>(reinterpret_cast<const std::uint32_t*>(reals), count * static_cast<int>(sizeof(Real) / 4),
                     block * block_reals * (sizeof(Real) / 4), out);
}

template <class Lanes, class Real>
void summarize_blocks(const Real* reals, std::uint64_t count, std::uint64_t first, std::uint64_t blocks, Partial* out) {
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const std::uint64_t begin = (first + i) * block_reals;
    const std::uint64_t left = count - begin;
    summarize_block<Lanes>(reals + begin, left < block_reals ? static_cast<int>(left) : block_reals, first + i, out[i]);
  }
}

template <class Lanes>
void summarize_blocks_of(const TypedBuffer& tensor, std::uint64_t first, std::uint64_t blocks, Partial* out) {
  const std::uint64_t count = tensor.elements * reals_of(tensor.dtype);
  visit_real(tensor.dtype, [&]<class Real>(TypeOf<Real>) {
    summarize_blocks<Lanes>(static_cast<const Real*>(tensor.data), count, first, blocks, out);
  });
}

}  // namespace samestep::summary
