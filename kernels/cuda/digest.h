// The digest kernels. One thread hashes one chunk, with the compression function of blake3/compress.h; a block joins
// its 128 chunks in shared memory to one chaining value a subtree; a second kernel, one block a message, joins those.
//
// `Thread` is the seam to the machine: thread.index in its block, thread.block, thread.sync() for all threads of the
// block (__syncthreads). So the same source runs on a GPU (kernels.cu) and on host fibers (tests/kernels/fibers.h).
#pragma once

#include "kernels/blake3/compress.h"
#include "kernels/cuda/plan.h"

namespace samestep::cuda {

using Word = std::uint32_t;

// Device memory of one call.
struct DigestArguments {
  const Message* messages;
  const Tail* tails;
  std::uint64_t message_count, tail_count, whole, slots;
  Word* values;   // 8 words for every subtree
  Word* digests;  // 8 words for every message
};

// Column t belongs to thread t: neighbouring threads touch neighbouring banks.
struct DigestShared {
  Word cv[blake3::chaining_words][digest_threads];
  std::uint32_t chunks[digest_threads];  // of the subtree that begins in this slot
};

// The chunk of one thread.
struct Place {
  const Message* message;
  std::uint64_t chunk;   // in its message
  std::uint64_t value;   // of its subtree
  std::uint32_t chunks;  // of its subtree; 0: nothing to do
  std::uint32_t offset;  // in its subtree
};

// The last of `count` items whose key is at most `key`. REQUIRES that there is one.
template <class Item, class Key>
SAMESTEP_DEVICE const Item& last_at_most(const Item* items, std::uint64_t count, Key Item::*key, Key value) {
  std::uint64_t begin = 0;
  while (count > 1) {
    const std::uint64_t half = count / 2;
    const bool right = items[begin + half].*key <= value;
    begin += right ? half : 0;
    count = right ? count - half : half;
  }
  return items[begin];
}

SAMESTEP_DEVICE std::uint64_t chunks_of(const Message& message) {
  return message.size == 0 ? 1 : (message.size + blake3::chunk_size - 1) / blake3::chunk_size;
}
SAMESTEP_DEVICE std::uint64_t subtrees_of(const Message& message) {
  return chunks_of(message) / digest_threads + message.tails;
}

SAMESTEP_DEVICE Place whole_place(const DigestArguments& arguments, std::uint64_t block, unsigned thread) {
  const Message& message = last_at_most(arguments.messages, arguments.message_count, &Message::first_whole, block);
  const std::uint64_t subtree = block - message.first_whole;
  return {&message, subtree * digest_threads + thread, message.first_value + subtree, digest_threads, thread};
}

SAMESTEP_DEVICE Place tail_place(const DigestArguments& arguments, std::uint64_t slot) {
  if (slot >= arguments.slots) return {nullptr, 0, 0, 0, 0};
  const Tail& tail = last_at_most(arguments.tails, arguments.tail_count, &Tail::first_slot, slot);
  const auto offset = static_cast<std::uint32_t>(slot - tail.first_slot);
  return {&arguments.messages[tail.message], tail.first_chunk + offset, tail.value, tail.chunks, offset};
}

// Sixteen words of a block of which `length` bytes belong to the message. Vector loads where the address allows.
SAMESTEP_DEVICE void load_block(const std::uint8_t* bytes, std::uint32_t length, Word (&m)[16]) {
#if defined(__CUDA_ARCH__)
  if (length == blake3::block_size && reinterpret_cast<std::uintptr_t>(bytes) % 16 == 0) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint4 four = reinterpret_cast<const uint4*>(bytes)[i];
      m[4 * i] = four.x;
      m[4 * i + 1] = four.y;
      m[4 * i + 2] = four.z;
      m[4 * i + 3] = four.w;
    }
    return;
  }
#endif
#if defined(__CUDACC__)
#pragma unroll
#endif
  for (std::uint32_t i = 0; i < 16; ++i) {
    m[i] = 0;
    for (std::uint32_t byte = 0; byte < 4; ++byte)
      if (4 * i + byte < length) m[i] |= static_cast<Word>(bytes[4 * i + byte]) << (8 * byte);
  }
}

SAMESTEP_DEVICE void hash_chunk(const Message& message, std::uint64_t chunk, Word flags, Word (&cv)[8]) {
  const std::uint64_t begin = chunk * blake3::chunk_size, left = message.size - begin;
  const auto size = static_cast<std::uint32_t>(left < blake3::chunk_size ? left : blake3::chunk_size);
  const auto blocks = static_cast<std::uint32_t>(blake3::blocks_of(size));
  Word m[16];
  blake3::start(cv);
  for (std::uint32_t block = 0; block < blocks; ++block) {
    const std::uint32_t rest = size - block * 64, length = rest < 64 ? rest : 64;
    load_block(message.data + begin + block * 64, length, m);
    const Word first = block == 0 ? blake3::chunk_start : 0;
    const Word last = block + 1 == blocks ? blake3::chunk_end | flags : 0;
    blake3::compress(cv, m, static_cast<Word>(chunk), static_cast<Word>(chunk >> 32), length, first | last);
  }
}

// m = left and right, the block of their parent; cv = its chaining value.
SAMESTEP_DEVICE void hash_parent(const Word (&m)[16], Word flags, Word (&cv)[8]) {
  blake3::start(cv);
  blake3::compress(cv, m, Word{0}, Word{0}, Word{64}, blake3::parent | flags);
}

SAMESTEP_DEVICE void join_slots(DigestShared& shared, unsigned left, unsigned right, Word flags) {
  Word m[16], cv[8];
  for (int i = 0; i < 8; ++i) {
    m[i] = shared.cv[i][left];
    m[8 + i] = shared.cv[i][right];
  }
  hash_parent(m, flags, cv);
  for (int i = 0; i < 8; ++i) shared.cv[i][left] = cv[i];
}

// First kernel: every subtree's chaining value.
template <class Thread>
SAMESTEP_DEVICE void hash_subtrees(Thread& thread, DigestShared& shared, const DigestArguments& arguments) {
  const Place place =
      thread.block < arguments.whole
          ? whole_place(arguments, thread.block, thread.index)
          : tail_place(arguments, (thread.block - arguments.whole) * digest_threads + thread.index);
  const bool alone = place.chunks > 0 && subtrees_of(*place.message) == 1;
  Word cv[8] = {};
  if (place.chunks > 0) hash_chunk(*place.message, place.chunk, alone && place.chunks == 1 ? blake3::root : 0, cv);
  for (int i = 0; i < 8; ++i) shared.cv[i][thread.index] = cv[i];
  // The top bit says that the subtree is the message: its last joint is the root.
  shared.chunks[thread.index] = place.chunks | static_cast<std::uint32_t>(alone) << 31;
  for (unsigned distance = 1; distance < digest_threads; distance *= 2) {
    thread.sync();
    const unsigned slot = thread.index * 2 * distance;  // so that whole warps fall idle
    if (slot >= digest_threads) continue;
    const std::uint32_t chunks = shared.chunks[slot] & 0xFFFF;
    const bool top = chunks == 2 * distance && shared.chunks[slot] >> 31;
    if (distance < chunks) join_slots(shared, slot, slot + distance, top ? blake3::root : 0);
  }
  thread.sync();
  if (place.chunks == 0 || place.offset != 0) return;
  for (int i = 0; i < 8; ++i) arguments.values[8 * place.value + i] = shared.cv[i][thread.index];
}

SAMESTEP_DEVICE void join_values(Word* left, const Word* right, Word flags) {
  Word m[16], cv[8];
  for (int i = 0; i < 8; ++i) {
    m[i] = left[i];
    m[8 + i] = right[i];
  }
  hash_parent(m, flags, cv);
  for (int i = 0; i < 8; ++i) left[i] = cv[i];
}

// Second kernel, block b for message b: its subtrees' values, joined. The tails first, from the right, since each is
// smaller than its left neighbour; then, with the whole subtrees before them, neighbours level by level.
template <class Thread>
SAMESTEP_DEVICE void join_subtrees(Thread& thread, const DigestArguments& arguments) {
  const Message& message = arguments.messages[thread.block];
  Word* values = arguments.values + 8 * message.first_value;
  const std::uint64_t whole = subtrees_of(message) - message.tails;
  const std::uint64_t nodes = whole + (message.tails > 0);
  if (thread.index == 0)
    for (std::uint32_t i = message.tails; i-- > 1;) {
      Word* left = values + 8 * (whole + i - 1);
      join_values(left, left + 8, whole == 0 && i == 1 ? blake3::root : 0);
    }
  for (std::uint64_t distance = 1; distance < nodes; distance *= 2) {
    thread.sync();
    const std::uint64_t step = 2 * distance;
    for (std::uint64_t i = thread.index * step; i + distance < nodes; i += join_threads * step)
      join_values(values + 8 * i, values + 8 * (i + distance), step >= nodes ? blake3::root : 0);
  }
  thread.sync();
  if (thread.index < 8) arguments.digests[8 * thread.block + thread.index] = values[thread.index];
}

}  // namespace samestep::cuda
