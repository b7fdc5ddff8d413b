// The BLAKE3 compression function, written once, as a template over the word type: std::uint32_t (the reference, and a
// CUDA thread), eight lanes (AVX2) or sixteen (AVX-512). Section 2 of the BLAKE3 paper; no 64-byte block is loaded and
// no tree is built here. Compiles as host C++ and as device code.
//
// A word type W has: W(std::uint32_t), which repeats a value in every lane; operators + and ^; and
// rotate_right<n>(W), found by argument or declared below.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.h"

namespace samestep::blake3 {

inline constexpr std::size_t block_size = 64;
inline constexpr std::size_t chunk_size = 1024;
inline constexpr std::size_t chaining_words = 8;

// Domain flags, table 3 of the paper.
inline constexpr std::uint32_t chunk_start = 1;
inline constexpr std::uint32_t chunk_end = 2;
inline constexpr std::uint32_t parent = 4;
inline constexpr std::uint32_t root = 8;

// Word i of the initialization vector (that of SHA-256). A function, as device code cannot index host arrays.
SAMESTEP_CONSTEXPR std::uint32_t initial_word(int i) {
  constexpr std::uint32_t words[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                      0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
  return words[i];
}

// Which message word stands at position i in round `round`: the permutation of table 2, `round` times. Its sixteen
// entries are the hexadecimal digits of one constant, the lowest digit first.
SAMESTEP_CONSTEXPR int message_word(int round, int i) {
  for (; round > 0; --round) i = static_cast<int>(0x8FE95CB1D407A362ull >> (4 * i) & 15);
  return i;
}

// Blocks of a chunk of `bytes` bytes; an empty message has one.
SAMESTEP_CONSTEXPR std::size_t blocks_of(std::size_t bytes) {
  return bytes == 0 ? 1 : (bytes + block_size - 1) / block_size;
}

template <int n>
SAMESTEP_INLINE std::uint32_t rotate_right(std::uint32_t word) {
  return word >> n | word << (32 - n);
}

// The quarter round G on the words a, b, c, d of the state. The message is added first, b being the last to be ready.
template <int a, int b, int c, int d, class Word>
SAMESTEP_INLINE void quarter(Word (&v)[16], Word x, Word y) {
  v[a] = v[a] + x + v[b];
  v[d] = rotate_right<16>(v[d] ^ v[a]);
  v[c] = v[c] + v[d];
  v[b] = rotate_right<12>(v[b] ^ v[c]);
  v[a] = v[a] + y + v[b];
  v[d] = rotate_right<8>(v[d] ^ v[a]);
  v[c] = v[c] + v[d];
  v[b] = rotate_right<7>(v[b] ^ v[c]);
}

// One round: four quarter rounds on the columns, four on the diagonals.
template <int round, class Word>
SAMESTEP_INLINE void mix(Word (&v)[16], const Word (&m)[16]) {
  quarter<0, 4, 8, 12>(v, m[message_word(round, 0)], m[message_word(round, 1)]);
  quarter<1, 5, 9, 13>(v, m[message_word(round, 2)], m[message_word(round, 3)]);
  quarter<2, 6, 10, 14>(v, m[message_word(round, 4)], m[message_word(round, 5)]);
  quarter<3, 7, 11, 15>(v, m[message_word(round, 6)], m[message_word(round, 7)]);
  quarter<0, 5, 10, 15>(v, m[message_word(round, 8)], m[message_word(round, 9)]);
  quarter<1, 6, 11, 12>(v, m[message_word(round, 10)], m[message_word(round, 11)]);
  quarter<2, 7, 8, 13>(v, m[message_word(round, 12)], m[message_word(round, 13)]);
  quarter<3, 4, 9, 14>(v, m[message_word(round, 14)], m[message_word(round, 15)]);
}

// cv = the chaining value after the block m. `length` is the number of message bytes in the block.
template <class Word>
SAMESTEP_INLINE void compress(Word (&cv)[8], const Word (&m)[16], Word counter_low, Word counter_high, Word length,
                              Word flags) {
  Word v[16] = {cv[0], cv[1], cv[2], cv[3], cv[4], cv[5], cv[6], cv[7],
                Word(initial_word(0)), Word(initial_word(1)), Word(initial_word(2)), Word(initial_word(3)),
                counter_low, counter_high, length, flags};
  mix<0>(v, m);
  mix<1>(v, m);
  mix<2>(v, m);
  mix<3>(v, m);
  mix<4>(v, m);
  mix<5>(v, m);
  mix<6>(v, m);
  for (int i = 0; i < 8; ++i) cv[i] = v[i] ^ v[i + 8];
}

// The chaining value that every chunk and every parent of an unkeyed hash starts from.
template <class Word>
SAMESTEP_INLINE void start(Word (&cv)[8]) {
  for (int i = 0; i < 8; ++i) cv[i] = Word(initial_word(i));
}

}  // namespace samestep::blake3
