// Digests and summaries of tensors in device memory: by libsamestep_cuda.so where the tensors are, or, where that
// cannot be loaded, by the host on copies (slow, the same bits).
#pragma once

#include <torch/torch.h>

#include <span>
#include <vector>

#include "kernels/digest.h"
#include "kernels/summary.h"

namespace samestep::capture {

// Results of work that was ordered at construction on the tensors' current streams, behind all that stood there, and is
// fetched by finish(), which waits.
template <class Result>
class DeviceWork {
 public:
  // `places` are the indices in `tensors` (contiguous) of those in device memory. Both must outlive the object.
  DeviceWork(const std::vector<at::Tensor>& tensors, const std::vector<std::size_t>& places);
  // Stores each result at its tensor's index.
  void finish(std::span<Result> results);

 private:
  struct OnDevice {
    std::vector<std::size_t> places;
    at::Tensor results;  // bytes, on the device
  };
  void order(at::Device device, std::vector<std::size_t> places);
  void on_the_host(std::span<Result> results) const;

  const std::vector<at::Tensor>& tensors_;
  std::vector<std::size_t> left_;  // for the host
  std::vector<OnDevice> ordered_;
};

using DeviceDigests = DeviceWork<Digest>;
using DeviceSummaries = DeviceWork<Summary>;

}  // namespace samestep::capture
