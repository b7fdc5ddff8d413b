// Sixteen words side by side. Compiled with -mavx512f and friends; see lanes.h for what such a unit must not do.
#include <immintrin.h>

#include "kernels/blake3/lanes.h"

namespace samestep::blake3 {
namespace {

struct Words16 {
  static constexpr std::size_t width = 16;
  __m512i value;

  Words16() = default;
  Words16(__m512i words) : value(words) {}
  explicit Words16(std::uint32_t word) : value(_mm512_set1_epi32(static_cast<int>(word))) {}
  static Words16 load(const std::uint32_t* words) { return _mm512_load_si512(words); }
  static void load_blocks(const std::uint8_t* const* rows, Words16 (&m)[16]);
  static void store_rows(const Words16 (&cv)[8], std::uint32_t* const* rows);
  static Words16 where(const std::uint32_t* mask, Words16 a, Words16 b) {
    return _mm512_mask_mov_epi32(b.value, _mm512_test_epi32_mask(load(mask).value, load(mask).value), a.value);
  }

  friend Words16 operator+(Words16 a, Words16 b) { return _mm512_add_epi32(a.value, b.value); }
  friend Words16 operator^(Words16 a, Words16 b) { return _mm512_xor_si512(a.value, b.value); }
};

template <int n>
Words16 rotate_right(Words16 word) {
  return _mm512_ror_epi32(word.value, n);
}

// Transposes the four-by-four words in each 128-bit quarter.
inline void transpose4(__m512i (&r)[4]) {
  const __m512i a = _mm512_unpacklo_epi32(r[0], r[1]), b = _mm512_unpackhi_epi32(r[0], r[1]);
  const __m512i c = _mm512_unpacklo_epi32(r[2], r[3]), d = _mm512_unpackhi_epi32(r[2], r[3]);
  r[0] = _mm512_unpacklo_epi64(a, c);
  r[1] = _mm512_unpackhi_epi64(a, c);
  r[2] = _mm512_unpacklo_epi64(b, d);
  r[3] = _mm512_unpackhi_epi64(b, d);
}

inline __m128i load128(const std::uint8_t* bytes) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)); }

// Quarter q of vector j is a quarter of row 4q + j, so that transposing within quarters is all that is left to do.
// Masked broadcasts from memory put it there without the shuffle port.
inline __m512i load_rows(const std::uint8_t* const* rows, int j, int offset) {
  __m512i r = _mm512_castsi128_si512(load128(rows[j] + offset));
  r = _mm512_mask_broadcast_i32x4(r, 0x00F0, load128(rows[4 + j] + offset));
  r = _mm512_mask_broadcast_i32x4(r, 0x0F00, load128(rows[8 + j] + offset));
  return _mm512_mask_broadcast_i32x4(r, 0xF000, load128(rows[12 + j] + offset));
}

void Words16::load_blocks(const std::uint8_t* const* rows, Words16 (&m)[16]) {
  for (int quarter = 0; quarter < 4; ++quarter) {
    __m512i r[4];
    for (int j = 0; j < 4; ++j) r[j] = load_rows(rows, j, 16 * quarter);
    transpose4(r);
    for (int j = 0; j < 4; ++j) m[4 * quarter + j] = r[j];
  }
}

void Words16::store_rows(const Words16 (&cv)[8], std::uint32_t* const* rows) {
  for (int half = 0; half < 2; ++half) {
    __m512i r[4];
    for (int j = 0; j < 4; ++j) r[j] = cv[4 * half + j].value;
    transpose4(r);
    for (int j = 0; j < 4; ++j) {
      const auto store = [&](int q, __m128i words) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(rows[4 * q + j] + 4 * half), words);
      };
      store(0, _mm512_castsi512_si128(r[j]));
      store(1, _mm512_extracti32x4_epi32(r[j], 1));
      store(2, _mm512_extracti32x4_epi32(r[j], 2));
      store(3, _mm512_extracti32x4_epi32(r[j], 3));
    }
  }
}

}  // namespace

const Compressor avx512_compressor = {hash_chunks<Words16>, hash_parents<Words16>};

}  // namespace samestep::blake3
