// Whatever a safetensors file holds, its tensors lie inside it and have the size that dtype and shape say, or it is
// BrokenInput; the same for an anchor.
#include <cstdlib>

#include "replay/checkpoint/anchor.h"
#include "replay/run/error.h"

namespace {

void check(const samestep::TensorView& tensor, std::span<const std::byte> file) {
  std::size_t bytes = samestep::element_size(tensor.dtype);
  for (const std::int64_t size : tensor.shape) bytes *= static_cast<std::size_t>(size);
  const bool inside =
      tensor.data.data() >= file.data() && tensor.data.data() + tensor.data.size() <= file.data() + file.size();
  if (!inside || bytes != tensor.data.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    for (const samestep::TensorView& tensor : samestep::parse_safetensors(file, "fuzz").tensors) check(tensor, file);
    static_cast<void>(samestep::compare_anchor(samestep::parse_anchor(file, "fuzz"), {}, {}));
  } catch (const samestep::BrokenInput&) {
  }
  return 0;
}
