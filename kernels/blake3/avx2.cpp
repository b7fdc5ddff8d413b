// Eight words side by side. Compiled with -mavx2; see lanes.h for what such a unit must not do.
#include <immintrin.h>

#include "kernels/blake3/lanes.h"

namespace samestep::blake3 {
namespace {

struct Words8 {
  static constexpr std::size_t width = 8;
  __m256i value;

  Words8() = default;
  Words8(__m256i words) : value(words) {}
  explicit Words8(std::uint32_t word) : value(_mm256_set1_epi32(static_cast<int>(word))) {}
  static Words8 load(const std::uint32_t* words) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(words)); }
  static void load_blocks(const std::uint8_t* const* rows, Words8 (&m)[16]);
  static void store_rows(const Words8 (&cv)[8], std::uint32_t* const* rows);
  static Words8 where(const std::uint32_t* mask, Words8 a, Words8 b) {
    return _mm256_blendv_epi8(b.value, a.value, load(mask).value);
  }

  friend Words8 operator+(Words8 a, Words8 b) { return _mm256_add_epi32(a.value, b.value); }
  friend Words8 operator^(Words8 a, Words8 b) { return _mm256_xor_si256(a.value, b.value); }
};

template <int n>
Words8 rotate_right(Words8 word) {
  if constexpr (n == 16) {
    const __m256i bytes = _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
                                           2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    return _mm256_shuffle_epi8(word.value, bytes);
  } else if constexpr (n == 8) {
    const __m256i bytes = _mm256_setr_epi8(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12,
                                           1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
    return _mm256_shuffle_epi8(word.value, bytes);
  } else {
    return _mm256_or_si256(_mm256_srli_epi32(word.value, n), _mm256_slli_epi32(word.value, 32 - n));
  }
}

// Transposes the four-by-four words in each 128-bit half.
inline void transpose4(__m256i (&r)[4]) {
  const __m256i a = _mm256_unpacklo_epi32(r[0], r[1]), b = _mm256_unpackhi_epi32(r[0], r[1]);
  const __m256i c = _mm256_unpacklo_epi32(r[2], r[3]), d = _mm256_unpackhi_epi32(r[2], r[3]);
  r[0] = _mm256_unpacklo_epi64(a, c);
  r[1] = _mm256_unpackhi_epi64(a, c);
  r[2] = _mm256_unpacklo_epi64(b, d);
  r[3] = _mm256_unpackhi_epi64(b, d);
}

inline __m128i load128(const std::uint8_t* bytes) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)); }

// Half h of vector j is a quarter of row 4h + j, so that transposing within halves is all that is left to do.
void Words8::load_blocks(const std::uint8_t* const* rows, Words8 (&m)[16]) {
  for (int quarter = 0; quarter < 4; ++quarter) {
    __m256i r[4];
    for (int j = 0; j < 4; ++j)
      r[j] = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(rows[j] + 16 * quarter)),
                                     load128(rows[4 + j] + 16 * quarter), 1);
    transpose4(r);
    for (int j = 0; j < 4; ++j) m[4 * quarter + j] = r[j];
  }
}

void Words8::store_rows(const Words8 (&cv)[8], std::uint32_t* const* rows) {
  for (int half = 0; half < 2; ++half) {
    __m256i r[4];
    for (int j = 0; j < 4; ++j) r[j] = cv[4 * half + j].value;
    transpose4(r);
    for (int j = 0; j < 4; ++j) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(rows[j] + 4 * half), _mm256_castsi256_si128(r[j]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(rows[4 + j] + 4 * half), _mm256_extracti128_si256(r[j], 1));
    }
  }
}

}  // namespace

const Compressor avx2_compressor = {hash_chunks<Words8>, hash_parents<Words8>};

}  // namespace samestep::blake3
