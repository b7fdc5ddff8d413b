// kernels/ turns bits into bits: BLAKE3 digests, statistics, sketches and syndromes of tensors in host or device
// memory. It includes nothing but the C++ standard library (and, in kernels/cuda, the CUDA runtime): no LibTorch, no
// HDF5. Data come in as (pointer, size) pairs that the caller keeps alive for the length of a call; results go out
// as plain values. Every function gives the same bits for every backend, thread count and block count.
//
// This header: BLAKE3-256 of one buffer, and of a list of buffers in one call. The algorithm is the BLAKE3 hash
// function (O'Connor, Aumasson, Neves, Wilcox-O'Hearn: "BLAKE3, one function, fast everywhere", 2020), unkeyed,
// 32 bytes of output, so that `b3sum` of the same bytes agrees.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/parallel.h"

namespace samestep {

// A BLAKE3-256 digest. Ordered and comparable bytewise; all zero when default-constructed.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  friend auto operator<=>(const Digest&, const Digest&) = default;
  // 64 lower-case hexadecimal digits, as b3sum prints them.
  [[nodiscard]] std::string hex() const;
  // The inverse of hex(); nullopt unless `text` is exactly 64 lower-case hexadecimal digits.
  [[nodiscard]] static std::optional<Digest> from_hex(std::string_view text);
};

// Bytes to be read, owned by the caller. `data` may be null only where size is 0.
struct Buffer {
  const void* data = nullptr;
  std::size_t size = 0;  // bytes
};

// How many 32-bit words are compressed side by side. All give the same bits; a wider one is faster where it exists.
enum class Backend : std::uint8_t { scalar, avx2, avx512 };
[[nodiscard]] std::string_view name(Backend backend);
// True where this processor (and operating system) can run `backend`.
[[nodiscard]] bool available(Backend backend);
// The fastest available one; the environment variable SAMESTEP_KERNELS=scalar|avx2|avx512 lowers it.
[[nodiscard]] Backend best_backend();

// The digest of one buffer, on the calling thread.
[[nodiscard]] Digest digest(std::span<const std::byte> bytes);
[[nodiscard]] Digest digest(std::string_view text);

// digests[i] = BLAKE3-256 of buffers[i]. REQUIRES digests.size() == buffers.size().
// A model is hundreds of tensors, most of them small: the chunks (1024 bytes) of all buffers form one work list, so
// SIMD lanes and threads are filled with chunks of different tensors and no pool is started per tensor.
// `parallel` runs the work; it must return only when all of it is done. Throws std::bad_alloc only.
void digest(std::span<const Buffer> buffers, std::span<Digest> digests, const ParallelFor& parallel = serial(),
            Backend backend = best_backend());

// Incremental digest, for files and for encodings that are built piece by piece.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  Hasher& update(const void* data, std::size_t size);
  Hasher& update(std::string_view text) { return update(text.data(), text.size()); }
  // The digest of everything given so far; update() may go on afterwards.
  [[nodiscard]] Digest finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samestep
