#include "kernels/summary.h"

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/portions.h"
#include "kernels/summary/kernel.h"
#include "kernels/summary/reals.h"

namespace samestep {
namespace {

using namespace summary;

BlockKernel block_kernel(Backend backend) {
#if defined(SAMESTEP_X86)
  if (backend == Backend::avx512) return avx512_blocks;
  if (backend == Backend::avx2) return avx2_blocks;
#endif
  static_cast<void>(backend);
  return scalar_blocks;
}

// A training program may flush subnormal numbers or round otherwise on its threads; the bits here must not follow it.
class DefaultFloatingPoint {
 public:
  DefaultFloatingPoint() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatingPoint() { std::fesetenv(&saved_); }
  DefaultFloatingPoint(const DefaultFloatingPoint&) = delete;
  DefaultFloatingPoint& operator=(const DefaultFloatingPoint&) = delete;

 private:
  std::fenv_t saved_;
};

// A node of the tree of blocks that one thread computes: a power of two, so that it is a node of every tensor's tree.
constexpr std::uint64_t piece_blocks = 64;

std::uint64_t blocks_of(const TypedBuffer& tensor) {
  return (tensor.elements * reals_of(tensor.dtype) + block_reals - 1) / block_reals;
}
std::uint64_t pieces_of(const TypedBuffer& tensor) { return (blocks_of(tensor) + piece_blocks - 1) / piece_blocks; }

struct Piece {
  const TypedBuffer* tensor;
  std::uint64_t first;  // block
  std::uint64_t blocks;
};

std::vector<Piece> pieces_of(std::span<const TypedBuffer> tensors) {
  std::vector<Piece> pieces;
  for (const TypedBuffer& tensor : tensors) {
    const std::uint64_t blocks = blocks_of(tensor);
    for (std::uint64_t first = 0; first < blocks; first += piece_blocks)
      pieces.push_back({&tensor, first, std::min(piece_blocks, blocks - first)});
  }
  return pieces;
}

// Step 5 of summary/tree.h; the result is partials[0].
void join_pairwise(std::span<Partial> partials) {
  for (std::size_t count = partials.size(); count > 1; count = (count + 1) / 2)
    for (std::size_t i = 0; 2 * i < count; ++i) {
      if (i > 0) partials[i] = partials[2 * i];
      if (2 * i + 1 < count) join(partials[i], partials[2 * i + 1]);
    }
}

void summarize_piece(const Piece& piece, BlockKernel kernel, Partial& out) {
  std::array<Partial, piece_blocks> partials;
  kernel(*piece.tensor, piece.first, piece.blocks, partials.data());
  join_pairwise(std::span(partials).first(piece.blocks));
  out = partials[0];
}

Summary to_summary(const Result& result) {
  static_assert(sizeof(Summary) == sizeof(Result) && std::is_trivially_copyable_v<Summary>);
  static_assert(offsetof(Summary, sketch) == offsetof(Result, p));
  static_assert(offsetof(Summary, syndrome) == offsetof(Result, syndrome_sum));
  return std::bit_cast<Summary>(result);
}

std::uint64_t unit_at(const TypedBuffer& tensor, std::uint64_t unit) {
  const std::uint64_t bytes = unit_bytes(element_size(tensor.dtype));
  std::uint64_t bits = 0;
  std::memcpy(&bits, static_cast<const std::uint8_t*>(tensor.data) + unit * bytes, bytes);
  return bits;
}

// x^(modulus - 2), the inverse of x (Fermat).
std::uint64_t inverse(std::uint64_t x) {
  std::uint64_t result = 1;
  for (std::uint64_t exponent = modulus - 2; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) result = multiply_modular(result, x);
    x = multiply_modular(x, x);
  }
  return result;
}

std::uint64_t subtract_modular(std::uint64_t a, std::uint64_t b) { return add_modular(a, modulus - b); }

}  // namespace

void summarize(std::span<const TypedBuffer> tensors, std::span<Summary> summaries, const ParallelFor& parallel,
               Backend backend) {
  const std::vector<Piece> pieces = pieces_of(tensors);
  std::vector<Partial> partials(pieces.size());
  std::size_t blocks = 0;
  for (const Piece& piece : pieces) blocks += piece.blocks;
  const auto portions = cut_into_portions(pieces.size(), portions_for(blocks, parallel.threads, 16, 1024), blocks,
                                          [&](std::size_t i) { return pieces[i].blocks; });
  const BlockKernel kernel = block_kernel(backend);
  parallel.run(portions.size() - 1, [&](std::size_t begin, std::size_t end) {
    const DefaultFloatingPoint environment;
    for (std::size_t i = portions[begin]; i < portions[end]; ++i) summarize_piece(pieces[i], kernel, partials[i]);
  });
  const DefaultFloatingPoint environment;
  std::span<Partial> left = partials;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::span<Partial> mine = left.first(pieces_of(tensors[i]));
    join_pairwise(mine);
    const std::uint64_t reals = tensors[i].elements * reals_of(tensors[i].dtype);
    summaries[i] = to_summary(finish(mine.empty() ? Partial{} : mine[0], reals));
    left = left.subspan(mine.size());
  }
}

double estimated_distance(const Sketch& a, const Sketch& b) {
  double square = 0;
  for (std::size_t k = 0; k < Sketch::size; ++k) square += (a.p[k] - b.p[k]) * (a.p[k] - b.p[k]);
  return std::sqrt(square / static_cast<double>(Sketch::size));
}

std::optional<ElementEdit> propose_edit(const TypedBuffer& tensor, const Syndrome& recorded) {
  Summary present;
  summarize(std::span(&tensor, 1), std::span(&present, 1));
  const std::uint64_t change = subtract_modular(recorded.sum, present.syndrome.sum);
  if (change == 0) return std::nullopt;
  const std::uint64_t weighted = subtract_modular(recorded.weighted, present.syndrome.weighted);
  const std::uint64_t unit = multiply_modular(weighted, inverse(change));
  const std::uint64_t bytes = unit_bytes(element_size(tensor.dtype));
  if (unit >= tensor.elements * (element_size(tensor.dtype) / bytes)) return std::nullopt;
  const std::uint64_t found = unit_at(tensor, unit);
  const std::uint64_t expected = add_modular(found, change);
  if (expected >> (8 * bytes) != 0) return std::nullopt;
  return ElementEdit{unit, found, expected};
}

}  // namespace samestep
