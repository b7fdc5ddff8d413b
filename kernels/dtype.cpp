#include "kernels/dtype.h"

#include <array>
#include <utility>

namespace samestep {
namespace {

using namespace std::string_view_literals;

constexpr std::array names = {
    std::pair{DType::boolean, "BOOL"sv}, std::pair{DType::u8, "U8"sv},           std::pair{DType::i8, "I8"sv},
    std::pair{DType::i16, "I16"sv},      std::pair{DType::u16, "U16"sv},         std::pair{DType::i32, "I32"sv},
    std::pair{DType::u32, "U32"sv},      std::pair{DType::i64, "I64"sv},         std::pair{DType::u64, "U64"sv},
    std::pair{DType::f16, "F16"sv},      std::pair{DType::bf16, "BF16"sv},       std::pair{DType::f32, "F32"sv},
    std::pair{DType::f64, "F64"sv},      std::pair{DType::f8_e4m3, "F8_E4M3"sv}, std::pair{DType::f8_e5m2, "F8_E5M2"sv},
    std::pair{DType::c64, "C64"sv},      std::pair{DType::c128, "C128"sv},
};

}  // namespace

std::string_view name(DType dtype) {
  for (const auto& [value, text] : names)
    if (value == dtype) return text;
  return {};
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const auto& [value, text] : names)
    if (text == name) return value;
  return std::nullopt;
}

}  // namespace samestep
