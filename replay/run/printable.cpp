#include "replay/run/printable.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace samestep {
namespace {

struct Decoded {
  std::uint32_t code = 0;
  std::size_t size = 0;  // 0: no UTF-8 here
};

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
Decoded decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t size = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (size == 0 || first > 0xf4 || text.size() < size) return {};
  std::uint32_t code = first & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < least[size] || surrogate || code > 0x10ffff ? Decoded{} : Decoded{code, size};
}

bool acts(std::uint32_t code) {
  const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
  const bool separator = code == 0x2028 || code == 0x2029;
  const bool direction = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0x061c ||
                         code == 0x200e || code == 0x200f;
  return control || separator || direction;
}

std::string escaped(const char* format, unsigned value) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Decoded next = decode(text);
    if (next.size == 0) {
      result += escaped("\\x%02x", static_cast<unsigned char>(text.front()));
    } else if (next.code == '\t') {
      result += ' ';
    } else if (acts(next.code)) {
      result += escaped(next.code < 0x100 ? "\\x%02x" : "\\u%04x", next.code);
    } else {
      result += text.substr(0, next.size);
    }
    text.remove_prefix(next.size == 0 ? 1 : next.size);
  }
  return result;
}

}  // namespace samestep
