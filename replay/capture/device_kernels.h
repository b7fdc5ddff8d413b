// libsamestep_cuda.so, loaded when the first CUDA tensor is met: a program without CUDA tensors never opens it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "kernels/cuda/api.h"

namespace samestep::capture {

class DeviceKernels {
 public:
  // Null where the library is not found, is of another version or sees no device; then said once on standard error.
  // It is looked for beside the program, in ../lib of that, and where the loader looks; SAMESTEP_CUDA_LIBRARY names it.
  [[nodiscard]] static DeviceKernels* load();

  // The scratch memory for a device, which must be current on this thread. Throws std::runtime_error.
  [[nodiscard]] samestep_cuda_workspace* workspace(int device);
  // Throws std::runtime_error with the library's words where `code` is not 0.
  void check(int code) const;

  decltype(&samestep_cuda_digest) digest = nullptr;
  decltype(&samestep_cuda_summarize) summarize = nullptr;

 private:
  DeviceKernels() = default;
  static std::unique_ptr<DeviceKernels> open();
  bool resolve(void* library);

  decltype(&samestep_cuda_error) error_ = nullptr;
  decltype(&samestep_cuda_open) open_ = nullptr;
  std::map<int, samestep_cuda_workspace*> workspaces_;  // for the life of the process
};

}  // namespace samestep::capture
