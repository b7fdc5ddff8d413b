// replay/checkpoint/ reads and writes files of named tensors and executes nothing. It may include kernels/ and
// replay/run/. This header: safetensors, strictly: u64 little-endian header length (at most 100 MB), JSON header, raw
// data; tensors must tile the data without gap, overlap or trailing bytes; names unique; sizes as dtype and shape say.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/digest.h"
#include "replay/run/record.h"

namespace samestep {

// A tensor inside a file's bytes; `data` points into them.
struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::span<const std::byte> data;
};

struct Safetensors {
  std::vector<TensorView> tensors;              // in order of their data
  std::map<std::string, std::string> metadata;  // "__metadata__"
  [[nodiscard]] const TensorView* find(std::string_view name) const;
};

// Parses `bytes`, which must outlive the result. Throws BrokenInput naming `origin`, the tensor, expected and found.
[[nodiscard]] Safetensors parse_safetensors(std::span<const std::byte> bytes, const std::string& origin);

// A file mapped read-only into memory. Throws BrokenInput where it cannot be opened.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& file);
  // Maps an open descriptor (a memfd); the descriptor stays the caller's.
  MappedFile(int descriptor, const std::string& origin);
  ~MappedFile();
  MappedFile(MappedFile&&) noexcept;
  [[nodiscard]] std::span<const std::byte> bytes() const;

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

// The file's head (length and JSON header, padded with spaces to 8 bytes) for tensors whose data will follow it in
// this order; data pointers are not read.
[[nodiscard]] std::string safetensors_head(std::span<const TensorView> tensors,
                                           const std::map<std::string, std::string>& metadata);

}  // namespace samestep
