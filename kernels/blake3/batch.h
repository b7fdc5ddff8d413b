// The seam between the BLAKE3 tree (tree.h), which decides what is compressed, and the instruction sets, which do it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/digest.h"

namespace samestep::blake3 {

// One chunk to be hashed into a chaining value.
struct Chunk {
  const std::uint8_t* data;
  std::uint32_t size;     // bytes, 1 to 1024; 0 only for an empty message
  std::uint32_t flags;    // root where the chunk is the whole message, else 0
  std::uint64_t counter;  // number of the chunk in its message
  std::uint32_t* cv;      // 8 words out
};

// Two neighbouring chaining values to be joined into one.
struct Parent {
  const std::uint32_t* children;  // 16 words: the left value, then the right one
  std::uint32_t* cv;              // 8 words out; may be `children` or lie before it
  std::uint32_t flags;            // root at the top of the tree, else 0
};

// The two operations of one instruction set. Jobs are done in order, `width` at a time, a batch being read before its
// results are written. Batches of equally long chunks are the fastest.
struct Compressor {
  void (*hash_chunks)(const Chunk* chunks, std::size_t count);
  void (*hash_parents)(const Parent* parents, std::size_t count);
};

extern const Compressor scalar_compressor;
extern const Compressor avx2_compressor;    // REQUIRES available(Backend::avx2)
extern const Compressor avx512_compressor;  // REQUIRES available(Backend::avx512)

[[nodiscard]] const Compressor& compressor(Backend backend);

}  // namespace samestep::blake3
