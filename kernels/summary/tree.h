// The fixed order in which the elements of a tensor are summed: part of the run format, and all that a second
// implementation needs. Shared by host and device code.
//
//  1. A tensor is a sequence of reals x[0], x[1], ... in double precision (reals.h). y[i] = x[i] where it is finite,
//     else +0; beyond the end y is +0.
//  2. Rows of 32 reals, blocks of 128 rows. Row g (counted over the tensor) has a word w = row_word(g). Its bit l says
//     whether y[32 g + l] is negated in the sketch; its three bits from 32 + 3 q on are the number r[q], q = 0..3.
//  3. Within a block 32 accumulators of each kind start at +0, and row after row is added:
//        sum[l]        += y[32 g + l]
//        square[l]     += y[32 g + l] * y[32 g + l]                (product and sum rounded separately)
//        bucket[8q+b]  += ±y[32 g + 8 q + (b xor r[q])]
//  4. At the block's end they are folded: v[l] += v[l + 16] for l < 16, then v[l] += v[l + 8] for l < 8; sum and square
//     go on with 4, 2, 1. What remains is one sum, one square and 8 buckets.
//  5. Blocks are joined pairwise: neighbours (0,1), (2,3), ... are added, left + right, an odd last one going up
//     unchanged, until one is left. Maxima, counts and syndromes are exact in any order.
//  6. norm = sqrt(square), mean = sum / count of finite reals, and p = the Walsh-Hadamard transform of the buckets:
//     for h = 1, 2, 4 in turn every pair (a, b) at a distance of h becomes (a + b, a - b). So
//     sign(k, i) = ± (-1)^popcount(k & bucket of i), and (1/8) Σ p[k]² = Σ bucket² : the estimate of a count sketch
//     (Charikar, Chen, Farach-Colton 2002; for second moments Thorup, Zhang 2004) at an eighth of the additions.
#pragma once

#include <cstdint>

#include "kernels/inline.h"

namespace samestep::summary {

inline constexpr int row_reals = 32;
inline constexpr int block_rows = 128;
inline constexpr int block_reals = row_reals * block_rows;
inline constexpr int buckets = 8;

// 2^61 - 1, the modulus of the syndromes.
inline constexpr std::uint64_t modulus = (std::uint64_t{1} << 61) - 1;

// The pseudo-random word of row g: element g of the sequence that splitmix64 gives for the seed 0 (Steele, Lea, Flood:
// "Fast splittable pseudorandom number generators", 2014).
SAMESTEP_CONSTEXPR std::uint64_t row_word(std::uint64_t g) {
  std::uint64_t z = (g + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}

// What is known of some consecutive blocks.
struct Partial {
  double sum, square, largest;
  double bucket[buckets];
  std::uint64_t nonfinite;
  std::uint64_t syndrome_sum, syndrome_weighted;  // below the modulus
};

SAMESTEP_CONSTEXPR std::uint64_t reduce(std::uint64_t x) {
  x = (x & modulus) + (x >> 61);
  return x >= modulus ? x - modulus : x;
}
SAMESTEP_CONSTEXPR std::uint64_t add_modular(std::uint64_t a, std::uint64_t b) { return reduce(a + b); }
// a and b below the modulus.
SAMESTEP_CONSTEXPR std::uint64_t multiply_modular(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return add_modular(static_cast<std::uint64_t>(product & modulus), static_cast<std::uint64_t>(product >> 61));
}

// Stores the syndrome of units first, first + 1, ... given their plain sum and Σ (i - first) x[i], which fit in 64 bits
// for the units of one block.
SAMESTEP_INLINE void set_syndrome(Partial& partial, std::uint64_t first, std::uint64_t sum, std::uint64_t weighted) {
  partial.syndrome_sum = reduce(sum);
  partial.syndrome_weighted = add_modular(reduce(weighted), multiply_modular(reduce(first), partial.syndrome_sum));
}

// left = left joined with its right neighbour.
SAMESTEP_INLINE void join(Partial& left, const Partial& right) {
  left.sum = left.sum + right.sum;
  left.square = left.square + right.square;
  left.largest = left.largest < right.largest ? right.largest : left.largest;
  for (int b = 0; b < buckets; ++b) left.bucket[b] = left.bucket[b] + right.bucket[b];
  left.nonfinite += right.nonfinite;
  left.syndrome_sum = add_modular(left.syndrome_sum, right.syndrome_sum);
  left.syndrome_weighted = add_modular(left.syndrome_weighted, right.syndrome_weighted);
}

// The Walsh-Hadamard transform, in place.
SAMESTEP_INLINE void transform(double (&p)[buckets]) {
  for (int h = 1; h < buckets; h *= 2)
    for (int k = 0; k < buckets; ++k) {
      if (k & h) continue;
      const double a = p[k], b = p[k + h];
      p[k] = a + b;
      p[k + h] = a - b;
    }
}

// What a Summary holds, as plain words: the layout is the same (checked where it is converted).
struct Result {
  double norm, max_abs, mean;
  std::uint64_t nonfinite;
  double p[buckets];
  std::uint64_t syndrome_sum, syndrome_weighted;
};

// Step 6: the result for `reals` reals of which `total` is the whole tree. Square root and quotient are correctly
// rounded on either machine.
SAMESTEP_INLINE Result finish(const Partial& total, std::uint64_t reals) {
  const std::uint64_t finite = reals - total.nonfinite;
  Result result = {};
#if defined(__CUDA_ARCH__)
  result.norm = ::sqrt(total.square);
#else
  result.norm = __builtin_sqrt(total.square);
#endif
  result.max_abs = total.largest;
  result.mean = finite == 0 ? 0 : total.sum / static_cast<double>(finite);
  result.nonfinite = total.nonfinite;
  for (int b = 0; b < buckets; ++b) result.p[b] = total.bucket[b];
  transform(result.p);
  result.syndrome_sum = total.syndrome_sum;
  result.syndrome_weighted = total.syndrome_weighted;
  return result;
}

}  // namespace samestep::summary
