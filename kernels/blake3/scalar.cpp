// The reference: one word at a time, in plain C++.
#include <cstring>

#include "kernels/blake3/lanes.h"

namespace samestep::blake3 {
namespace {

struct Word {
  static constexpr std::size_t width = 1;
  std::uint32_t value;

  Word() = default;
  explicit Word(std::uint32_t word) : value(word) {}
  static Word load(const std::uint32_t* words) { return Word(*words); }
  static void load_blocks(const std::uint8_t* const* rows, Word (&m)[16]) { std::memcpy(m, rows[0], block_size); }
  static void store_rows(const Word (&cv)[8], std::uint32_t* const* rows) { std::memcpy(rows[0], cv, sizeof cv); }
  static Word where(const std::uint32_t* mask, Word a, Word b) { return *mask ? a : b; }

  friend Word operator+(Word a, Word b) { return Word(a.value + b.value); }
  friend Word operator^(Word a, Word b) { return Word(a.value ^ b.value); }
};

template <int n>
Word rotate_right(Word word) {
  return Word(word.value >> n | word.value << (32 - n));
}

}  // namespace

const Compressor scalar_compressor = {hash_chunks<Word>, hash_parents<Word>};

}  // namespace samestep::blake3
