// Tensors as the run format sees them: element type, shape, contiguous bytes in host memory.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "kernels/digest.h"
#include "kernels/dtype.h"
#include "kernels/summary.h"
#include "replay/run/record.h"

namespace samestep::capture {

// Throws std::invalid_argument for element types that the format has no name for (quantised ones).
[[nodiscard]] DType dtype_of(const at::Tensor& tensor);
[[nodiscard]] at::ScalarType scalar_type(DType dtype);
[[nodiscard]] Shape shape_of(const at::Tensor& tensor);

// The same elements, dense, contiguous, detached, without pending conjugation; the tensor itself where it is so
// already. Throws std::invalid_argument for a sparse tensor: see parts_of().
[[nodiscard]] at::Tensor readable(const at::Tensor& tensor);
// readable(), in host memory.
[[nodiscard]] at::Tensor on_host(const at::Tensor& tensor);
// A copy of its own, in host memory.
[[nodiscard]] at::Tensor host_copy(const at::Tensor& tensor);
// Puts the elements of `source`, of the same shape, into `target`; of an expanded one, whose elements share memory,
// each memory once.
void overwrite(at::Tensor target, at::Tensor source);
// True where shape, type and every bit agree.
[[nodiscard]] bool same_bits(const at::Tensor& a, const at::Tensor& b);

// A dense tensor is its own only part; a sparse one (coalesced) has two: indices, values.
[[nodiscard]] std::vector<at::Tensor> parts_of(const at::Tensor& tensor);

// A number as a tensor of shape [].
[[nodiscard]] at::Tensor scalar_tensor(std::int64_t value);
[[nodiscard]] at::Tensor scalar_tensor(double value);

// What is read at one moment: tensors are added, then one call digests them all (and summarizes the marked ones) in the
// program's own threads, before control returns to the program.
class Reading {
 public:
  // The tensor's place among the digests. Its storage is kept alive, not copied unless it is not contiguous.
  std::size_t add(const at::Tensor& tensor, bool summarize = false);
  void run();
  [[nodiscard]] std::size_t size() const { return tensors_.size(); }

  // REQUIRES run().
  [[nodiscard]] const Digest& digest(std::size_t place) const { return digests_[place]; }
  [[nodiscard]] ListItem item(std::size_t place) const;
  // All zero where it was not asked for.
  [[nodiscard]] Summary summary(std::size_t place) const;

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  void digest_all();
  void summarize_marked();

  std::vector<at::Tensor> tensors_;
  std::vector<std::size_t> summary_place_;  // none where not marked
  std::vector<Digest> digests_;
  std::vector<Summary> summaries_;
  std::size_t marked_ = 0;
};

}  // namespace samestep::capture
