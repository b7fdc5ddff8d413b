// Statistics, sketch and syndrome of a tensor, in one pass over its elements, with equal bits for every backend, thread
// count and block count: elements are summed in double precision along one fixed tree that is part of the format
// (docs/format.md, "Summaries"; kernels/summary/tree.h says it exactly). Rounding modes and flushing of subnormal numbers that
// the calling threads have set do not count, and are restored.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kernels/digest.h"
#include "kernels/dtype.h"
#include "kernels/parallel.h"

namespace samestep {

// Of the elements as real numbers (complex: of both parts; bool and integers: converted to double). Squares and sums
// may overflow to infinity: the norm of f64 elements beyond 1e154 does.
struct Statistics {
  double norm = 0;            // sqrt(sum of squares) over the finite elements
  double max_abs = 0;         // over the finite elements
  double mean = 0;            // over the finite elements; 0 where there is none
  std::uint64_t nonfinite = 0;
  friend bool operator==(const Statistics&, const Statistics&) = default;
};

// p[k] = sum over i of sign(k, i) * x[i], signs a fixed pseudo-random function of (k, i). For two tensors a, b of one
// shape, the mean over k of (a.p[k] - b.p[k])^2 estimates ||a - b||^2 with relative standard error sqrt(2 / size)
// (Alon, Matias, Szegedy 1996: tug-of-war sketch). Non-finite elements count as 0.
struct Sketch {
  static constexpr std::size_t size = 8;
  std::array<double, size> p{};
  friend bool operator==(const Sketch&, const Sketch&) = default;
};

// sum = Σ x[i], weighted = Σ i·x[i] modulo 2^61 - 1, of the elements as unsigned integers of their width (64-bit ones
// as two 32-bit halves, low half first; 128-bit ones as four), i counting elements (halves) from 0.
struct Syndrome {
  std::uint64_t sum = 0;
  std::uint64_t weighted = 0;
  friend bool operator==(const Syndrome&, const Syndrome&) = default;
};

struct Summary {
  Statistics statistics;
  Sketch sketch;
  Syndrome syndrome;
};

// Contiguous elements of one tensor, owned by the caller.
struct TypedBuffer {
  const void* data = nullptr;
  std::size_t elements = 0;
  DType dtype = DType::f32;
};

// summaries[i] of tensors[i]. REQUIRES summaries.size() == tensors.size(). Throws std::bad_alloc only.
void summarize(std::span<const TypedBuffer> tensors, std::span<Summary> summaries,
               const ParallelFor& parallel = serial(), Backend backend = best_backend());

// Estimated Euclidean distance between two tensors of which only the sketches are known.
[[nodiscard]] double estimated_distance(const Sketch& a, const Sketch& b);

// One element of a tensor whose bits were changed. `unit` counts elements, or halves of 64-bit elements.
struct ElementEdit {
  std::uint64_t unit = 0;
  std::uint64_t found = 0;     // the bits that are there
  std::uint64_t expected = 0;  // the bits that `recorded` proposes
  friend bool operator==(const ElementEdit&, const ElementEdit&) = default;
};
// The single-element edit that turns `tensor` into one with syndrome `recorded`, if there is exactly one; nullopt where
// the syndromes are equal or no single edit explains them. A proposal only: believe it when the digest of the mended
// copy agrees.
[[nodiscard]] std::optional<ElementEdit> propose_edit(const TypedBuffer& tensor, const Syndrome& recorded);

}  // namespace samestep
