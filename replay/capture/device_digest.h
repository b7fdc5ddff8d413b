// Digests of tensors in device memory. The seam for samestep_cuda, the shared object that digests them where they are.
#pragma once

#include <torch/torch.h>

#include <span>
#include <vector>

#include "kernels/digest.h"

namespace samestep::capture {

// Digests ordered at construction, behind everything that the current stream already holds, and fetched by finish().
class DeviceDigests {
 public:
  // `places` are the indices in `tensors` (contiguous) of those in device memory. Both must outlive the object.
  DeviceDigests(const std::vector<at::Tensor>& tensors, const std::vector<std::size_t>& places);
  // Waits, and stores each digest at its tensor's index.
  void finish(std::span<Digest> digests);

 private:
  const std::vector<at::Tensor>& tensors_;
  const std::vector<std::size_t>& places_;
};

}  // namespace samestep::capture
