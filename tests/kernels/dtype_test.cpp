#include "kernels/dtype.h"

#include <gtest/gtest.h>

namespace samestep {
namespace {

TEST(DType, NamesAndSizesAreThoseOfSafetensors) {
  int named = 0;
  for (int value = 0; value < 256; ++value) {
    const auto dtype = static_cast<DType>(value);
    EXPECT_EQ(name(dtype).empty(), element_size(dtype) == 0) << value;
    if (name(dtype).empty()) continue;
    EXPECT_EQ(dtype_from_name(name(dtype)), dtype);
    ++named;
  }
  EXPECT_EQ(named, 17);
  EXPECT_EQ(name(DType::bf16), "BF16");
  EXPECT_EQ(element_size(DType::bf16), 2u);
  EXPECT_EQ(name(DType::f8_e4m3), "F8_E4M3");
  EXPECT_EQ(dtype_from_name("bf16"), std::nullopt);
  EXPECT_EQ(dtype_from_name(""), std::nullopt);
}

}  // namespace
}  // namespace samestep
