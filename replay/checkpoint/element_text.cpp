#include "replay/checkpoint/element_text.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace samestep {
namespace {

template <class T>
T bits_as(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

template <class T>
std::string number_text(T value) {
  std::array<char, 64> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

template <class T>
std::string text_as(std::span<const std::byte> bytes) {
  return number_text(bits_as<T>(bytes));
}

// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits.
float half_value(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

// bfloat16: the upper half of a binary32.
float brain_value(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

template <class T>
std::string complex_text(std::span<const std::byte> bytes) {
  return "(" + text_as<T>(bytes.first(sizeof(T))) + ", " + text_as<T>(bytes.subspan(sizeof(T))) + ")";
}

}  // namespace

std::string element_text(DType dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case DType::boolean:
      return bytes[0] == std::byte{0} ? "false" : "true";
    case DType::u8:
      return number_text(static_cast<unsigned>(bits_as<std::uint8_t>(bytes)));
    case DType::i8:
      return number_text(static_cast<int>(bits_as<std::int8_t>(bytes)));
    case DType::i16:
      return text_as<std::int16_t>(bytes);
    case DType::u16:
      return text_as<std::uint16_t>(bytes);
    case DType::i32:
      return text_as<std::int32_t>(bytes);
    case DType::u32:
      return text_as<std::uint32_t>(bytes);
    case DType::i64:
      return text_as<std::int64_t>(bytes);
    case DType::u64:
      return text_as<std::uint64_t>(bytes);
    case DType::f16:
      return number_text(half_value(bits_as<std::uint16_t>(bytes)));
    case DType::bf16:
      return number_text(brain_value(bits_as<std::uint16_t>(bytes)));
    case DType::f32:
      return text_as<float>(bytes);
    case DType::f64:
      return text_as<double>(bytes);
    case DType::c64:
      return complex_text<float>(bytes);
    case DType::c128:
      return complex_text<double>(bytes);
    case DType::f8_e4m3:
    case DType::f8_e5m2:
      return "";
  }
  return "";
}

std::string element_bits(std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "0x";
  for (std::size_t i = bytes.size(); i-- > 0;) {
    const auto byte = static_cast<unsigned>(bytes[i]);
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace samestep
