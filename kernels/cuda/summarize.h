// The summary kernels: one thread for each of the 32 accumulators of summary/tree.h, a block for each block of reals;
// then one block a tensor, which joins its partials pairwise. No atomics: the order is the tree's, whatever the grid.
// `Thread` is the seam that kernels/cuda/digest.h describes.
#pragma once

#include "kernels/cuda/digest.h"
#include "kernels/summary/reals.h"
#include "kernels/summary/tree.h"

namespace samestep::cuda {

struct SummaryArguments {
  const Tensor* tensors;
  std::uint64_t tensor_count;
  summary::Partial* partials;  // one for every block of reals
  summary::Result* results;    // one for every tensor
};

struct SummaryShared {
  std::uint64_t words[summary::block_rows];
  double sum[summary_threads], square[summary_threads], largest[summary_threads], bucket[summary_threads];
  std::uint64_t nonfinite[summary_threads], units[summary_threads], weighted[summary_threads];
};

static_assert(summary_threads == summary::row_reals);

// x where it is finite, else 0. Compares bits, which no compiler flag reinterprets.
SAMESTEP_DEVICE double finite_or_zero(double x, bool& finite) {
  const auto bits = summary::same_bits<std::uint64_t>(x);
  finite = (bits & 0x7FF0000000000000) != 0x7FF0000000000000;
  return finite ? x : 0.0;
}

template <class Real>
SAMESTEP_DEVICE double real_at(const Real* reals, std::uint64_t count, std::uint64_t i, bool& finite) {
  finite = true;
  return i < count ? finite_or_zero(summary::to_double(reals[i]), finite) : 0.0;
}

// Step 3 for accumulator `lane` of the block that begins at `reals`.
template <class Real>
SAMESTEP_DEVICE void accumulate(SummaryShared& shared, unsigned lane, const Real* reals, std::uint64_t count) {
  double sum = 0, square = 0, largest = 0, bucket = 0;
  std::uint64_t nonfinite = 0;
  const unsigned group = lane / 8;
  for (unsigned row = 0; row < summary::block_rows; ++row) {
    const std::uint64_t word = shared.words[row];
    const unsigned from = 8 * group + ((lane ^ (word >> (32 + 3 * group))) & 7);
    bool finite;
    const double z = real_at(reals, count, row * summary::row_reals + from, finite);
    bucket = bucket + (word >> from & 1 ? -z : z);
    const double y = real_at(reals, count, row * summary::row_reals + lane, finite);
    sum = sum + y;
    square = square + y * y;
    const double magnitude = y < 0 ? -y : y;
    largest = largest < magnitude ? magnitude : largest;
    nonfinite += !finite;
  }
  shared.sum[lane] = sum;
  shared.square[lane] = square;
  shared.largest[lane] = largest;
  shared.bucket[lane] = bucket;
  shared.nonfinite[lane] = nonfinite;
}

template <class Unit>
SAMESTEP_DEVICE void accumulate_units(SummaryShared& shared, unsigned lane, const Unit* units, std::uint64_t count) {
  std::uint64_t sum = 0, weighted = 0;
  for (std::uint64_t i = lane; i < count; i += summary_threads) {
    sum += units[i];
    weighted += i * units[i];
  }
  shared.units[lane] = sum;
  shared.weighted[lane] = weighted;
}

template <std::size_t bytes>
struct UnitOf {
  using type = std::uint32_t;
};
template <>
struct UnitOf<1> {
  using type = std::uint8_t;
};
template <>
struct UnitOf<2> {
  using type = std::uint16_t;
};

// Step 4: v[l] += v[l + half]; buckets stop at eight.
template <class Thread>
SAMESTEP_DEVICE void fold(Thread& thread, SummaryShared& shared) {
  for (unsigned half = summary_threads / 2; half > 0; half /= 2) {
    thread.sync();
    const unsigned a = thread.index, b = thread.index + half;
    if (a >= half) continue;
    shared.sum[a] = shared.sum[a] + shared.sum[b];
    shared.square[a] = shared.square[a] + shared.square[b];
    shared.largest[a] = shared.largest[a] < shared.largest[b] ? shared.largest[b] : shared.largest[a];
    if (half >= 8) shared.bucket[a] = shared.bucket[a] + shared.bucket[b];
    shared.nonfinite[a] += shared.nonfinite[b];
    shared.units[a] += shared.units[b];
    shared.weighted[a] += shared.weighted[b];
  }
  thread.sync();
}

SAMESTEP_DEVICE summary::Partial partial_of(const SummaryShared& shared, std::uint64_t first_unit) {
  summary::Partial partial;
  partial.sum = shared.sum[0];
  partial.square = shared.square[0];
  partial.largest = shared.largest[0];
  for (int b = 0; b < summary::buckets; ++b) partial.bucket[b] = shared.bucket[b];
  partial.nonfinite = shared.nonfinite[0];
  summary::set_syndrome(partial, first_unit, shared.units[0], shared.weighted[0]);
  return partial;
}

// First kernel, block b for block b of all tensors' blocks.
template <class Thread>
SAMESTEP_DEVICE void summarize_blocks(Thread& thread, SummaryShared& shared, const SummaryArguments& arguments) {
  const Tensor& tensor = last_at_most(arguments.tensors, arguments.tensor_count, &Tensor::first_block,
                                      static_cast<std::uint64_t>(thread.block));
  const std::uint64_t block = thread.block - tensor.first_block, first = block * summary::block_reals;
  const std::uint64_t left = tensor.reals - first;
  const std::uint64_t count = left < summary::block_reals ? left : summary::block_reals;
  for (unsigned row = thread.index; row < summary::block_rows; row += summary_threads)
    shared.words[row] = summary::row_word(block * summary::block_rows + row);
  thread.sync();
  std::uint64_t units_a_real = 1;
  summary::visit_real(tensor.dtype, [&](auto type) {
    using Real = typename decltype(type)::type;
    using Unit = typename UnitOf<sizeof(Real)>::type;
    units_a_real = sizeof(Real) / sizeof(Unit);
    const Real* reals = static_cast<const Real*>(tensor.data) + first;
    accumulate(shared, thread.index, reals, count);
    accumulate_units(shared, thread.index, reinterpret_cast<const Unit*>(reals), count * units_a_real);
  });
  fold(thread, shared);
  if (thread.index == 0) arguments.partials[thread.block] = partial_of(shared, first * units_a_real);
}

// Second kernel, block b for tensor b: step 5, neighbours level by level, then step 6.
template <class Thread>
SAMESTEP_DEVICE void join_blocks(Thread& thread, const SummaryArguments& arguments) {
  const Tensor& tensor = arguments.tensors[thread.block];
  summary::Partial* partials = arguments.partials + tensor.first_block;
  for (std::uint64_t distance = 1; distance < tensor.blocks; distance *= 2) {
    for (std::uint64_t i = thread.index * 2 * distance; i + distance < tensor.blocks; i += join_threads * 2 * distance)
      summary::join(partials[i], partials[i + distance]);
    thread.sync();
  }
  if (thread.index != 0) return;
  const summary::Partial nothing = {};
  arguments.results[thread.block] = summary::finish(tensor.blocks > 0 ? partials[0] : nothing, tensor.reals);
}

}  // namespace samestep::cuda
