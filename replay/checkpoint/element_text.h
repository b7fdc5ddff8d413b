// An element of a tensor as people read it.
#pragma once

#include <span>
#include <string>

#include "kernels/dtype.h"

namespace samestep {

// The value, shortest form that reads back as the same bits ("0.125", "-3", "true", "(1, 0)"); empty for 8-bit floats,
// which have none. REQUIRES bytes.size() == element_size(dtype).
[[nodiscard]] std::string element_text(DType dtype, std::span<const std::byte> bytes);
// "0x3e000004": all the element's bits as one number.
[[nodiscard]] std::string element_bits(std::span<const std::byte> bytes);

}  // namespace samestep
