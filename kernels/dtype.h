// Element types, by the names and sizes that safetensors gives them. The numeric values are part of the run format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace samestep {

enum class DType : std::uint8_t {
  boolean = 1,
  u8 = 2,
  i8 = 3,
  i16 = 4,
  u16 = 5,
  i32 = 6,
  u32 = 7,
  i64 = 8,
  u64 = 9,
  f16 = 10,
  bf16 = 11,
  f32 = 12,
  f64 = 13,
  f8_e4m3 = 14,
  f8_e5m2 = 15,
  c64 = 16,   // two f32
  c128 = 17,  // two f64
};

// Bytes of one element; 0 for a value outside the enumeration.
[[nodiscard]] constexpr std::size_t element_size(DType dtype) {
  switch (dtype) {
    case DType::boolean: case DType::u8: case DType::i8: case DType::f8_e4m3: case DType::f8_e5m2: return 1;
    case DType::i16: case DType::u16: case DType::f16: case DType::bf16: return 2;
    case DType::i32: case DType::u32: case DType::f32: return 4;
    case DType::i64: case DType::u64: case DType::f64: case DType::c64: return 8;
    case DType::c128: return 16;
  }
  return 0;
}

// "F32", "BF16", "BOOL", ... as in a safetensors header; empty for a value outside the enumeration.
[[nodiscard]] std::string_view name(DType dtype);
[[nodiscard]] std::optional<DType> dtype_from_name(std::string_view name);

}  // namespace samestep
