// Which memory of the process is stale while a replay fast-forwards: it would hold what was computed from the weights,
// and nobody computes that. Views share their storage's fate.
//
// A result that is answered instead of computed gets memory of its own, zero and untouched, so that the system need not
// even provide its pages; it is told by who frees it. Memory that was there before (weights, buffers, whatever an
// answered operator would have written) is listed.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace samestep::capture {

class StaleMemory {
 public:
  // A dense tensor in host memory whose elements are zero and stale.
  [[nodiscard]] static at::Tensor make(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType type);

  // True where make() gave the memory, and nothing fresh was written over all of it.
  [[nodiscard]] static bool made(const at::Tensor& tensor);

  // False for tensors without plain memory (sparse, opaque, none): what they hold is computed.
  [[nodiscard]] bool holds(const at::Tensor& tensor) const;
  void add(const at::Tensor& tensor);
  // add(), because an operator that was answered would have written it.
  void write(const at::Tensor& tensor);
  // True where a tensor that was listed would have been written since the last call.
  [[nodiscard]] bool take_written(const at::Tensor& tensor);
  // The tensor was written as a whole by an operator that really ran: fresh again, where it covers its storage.
  void remove(const at::Tensor& tensor);

 private:
  struct Listed {
    c10::weak_intrusive_ptr<c10::StorageImpl>
        storage;  // a freed one's address must not be another's while it stands here
    bool written = false;
  };
  mutable std::mutex mutex_;
  std::unordered_map<const c10::StorageImpl*, Listed> listed_;
};

}  // namespace samestep::capture
