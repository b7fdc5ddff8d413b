// Little-endian bytes in and out: the encoding that every preimage, frame and row of a run shares.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "kernels/digest.h"
#include "replay/run/error.h"

namespace samestep {

// Appends values to a growing buffer that it owns.
class ByteWriter {
 public:
  ByteWriter& raw(const void* data, std::size_t size) {
    const std::size_t before = bytes_.size();
    bytes_.resize(before + size);
    if (size != 0) std::memcpy(bytes_.data() + before, data, size);
    return *this;
  }
  ByteWriter& text(std::string_view value) { return raw(value.data(), value.size()); }
  ByteWriter& digest(const Digest& value) { return raw(value.bytes.data(), value.bytes.size()); }
  ByteWriter& u8(std::uint8_t value) { return integer(value); }
  ByteWriter& u32(std::uint32_t value) { return integer(value); }
  ByteWriter& u64(std::uint64_t value) { return integer(value); }
  ByteWriter& i64(std::int64_t value) { return integer(static_cast<std::uint64_t>(value)); }
  // The bits as they are, so that NaN payloads and negative zeros survive.
  ByteWriter& f64(double value) { return integer(std::bit_cast<std::uint64_t>(value)); }

  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }
  [[nodiscard]] std::vector<std::byte>&& take() { return std::move(bytes_); }
  void reserve(std::size_t size) { bytes_.reserve(size); }

 private:
  template <class T>
  ByteWriter& integer(T value) {
    static_assert(std::is_unsigned_v<T>);
    std::array<std::byte, sizeof(T)> little{};
    for (std::size_t i = 0; i < sizeof(T); ++i) little[i] = static_cast<std::byte>(value >> (8 * i));
    return raw(little.data(), little.size());
  }
  std::vector<std::byte> bytes_;
};

// Takes values from the front of bytes that the caller keeps alive. Every read is bounded: beyond the end it throws
// BrokenInput that begins with `origin`.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string origin) : rest_(bytes), origin_(std::move(origin)) {}

  [[nodiscard]] std::span<const std::byte> raw(std::size_t size) {
    if (size > rest_.size()) {
      fail("ends early: " + std::to_string(size) + " more bytes were expected, " + std::to_string(rest_.size()) +
           " are left");
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  [[nodiscard]] Digest digest() {
    Digest value;
    std::memcpy(value.bytes.data(), raw(value.bytes.size()).data(), value.bytes.size());
    return value;
  }
  [[nodiscard]] std::uint8_t u8() { return integer<std::uint8_t>(); }
  [[nodiscard]] std::uint32_t u32() { return integer<std::uint32_t>(); }
  [[nodiscard]] std::uint64_t u64() { return integer<std::uint64_t>(); }
  [[nodiscard]] std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
  [[nodiscard]] double f64() { return std::bit_cast<double>(u64()); }

  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  [[noreturn]] void fail(const std::string& what) const { throw BrokenInput(origin_ + ": " + what); }

 private:
  template <class T>
  T integer() {
    const auto little = raw(sizeof(T));
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(value | static_cast<T>(static_cast<T>(little[i]) << (8 * i)));
    }
    return value;
  }
  std::span<const std::byte> rest_;
  std::string origin_;
};

}  // namespace samestep
