#include "replay/player/tensor_files.h"

#include <sstream>

#include "kernels/compare.h"
#include "replay/checkpoint/safetensors.h"

namespace samestep {
namespace {

TypedBuffer typed(const TensorView& view) {
  return {view.data.data(), view.data.size() / element_size(view.dtype), view.dtype};
}

std::string difference(const TensorView& a, const TensorView& b) {
  if (a.dtype != b.dtype || a.shape != b.shape) return "";
  const Comparison comparison = compare(typed(a), typed(b));
  if (comparison.same()) return "";
  std::ostringstream text;
  text << a.name << ": " << comparison;
  return text.str();
}

}  // namespace

std::string tensor_label(Lane lane, const std::string& tensor) {
  return std::string(name(lane)) + "/" + (tensor.starts_with('#') ? tensor.substr(1) : tensor);
}

std::string tensor_difference(const std::filesystem::path& a, const std::filesystem::path& b,
                              const std::string& label) {
  const MappedFile file_a(a);
  const MappedFile file_b(b);
  const Safetensors tensors_a = parse_safetensors(file_a.bytes(), a.string());
  const Safetensors tensors_b = parse_safetensors(file_b.bytes(), b.string());
  for (const TensorView& tensor : tensors_a.tensors) {
    if (!label.empty() && tensor.name != label) continue;
    const TensorView* other = tensors_b.find(tensor.name);
    if (other == nullptr) continue;
    if (std::string text = difference(tensor, *other); !text.empty()) return text;
  }
  return "";
}

}  // namespace samestep
