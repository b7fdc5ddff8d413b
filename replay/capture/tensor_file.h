// Named tensors as a safetensors file in memory: how anchors and dumps travel to the recorder and back.
#pragma once

#include <torch/torch.h>

#include <map>
#include <string>
#include <vector>

#include "replay/checkpoint/safetensors.h"

namespace samestep::capture {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

// A file that lives as long as somebody holds its descriptor. Sealed: neither side can change it any more.
class MemoryFile {
 public:
  // Throws std::system_error where memory is short, or the process may not make files of that size (RLIMIT_FSIZE).
  MemoryFile(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  void write(const void* data, std::size_t size) const;
  int descriptor_;
};

// A tensor over the view's bytes, which must outlive it.
[[nodiscard]] at::Tensor tensor_over(const TensorView& view);

}  // namespace samestep::capture
