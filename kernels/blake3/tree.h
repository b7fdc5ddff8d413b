// The BLAKE3 tree over many buffers at once. A message is cut into subtrees of at most 128 chunks, a power of two, so
// that each is a node of its message's tree; subtrees of different messages are hashed together, level by level, to
// keep the lanes full. The left-balanced tree of the paper (section 2.1) is what joining neighbours level by level
// gives, an odd last node going up unchanged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/blake3/batch.h"
#include "kernels/blake3/compress.h"
#include "kernels/digest.h"

namespace samestep::blake3 {

using ChainingValue = std::array<std::uint32_t, chaining_words>;

inline constexpr std::size_t subtree_chunks = 128;
inline constexpr std::size_t subtree_size = subtree_chunks * chunk_size;

constexpr std::size_t chunks_of(std::size_t bytes) { return bytes == 0 ? 1 : (bytes + chunk_size - 1) / chunk_size; }
constexpr std::size_t subtrees_of(std::size_t bytes) {
  return bytes == 0 ? 1 : (bytes + subtree_size - 1) / subtree_size;
}

// Part of a message: bytes from a multiple of subtree_size on, at most subtree_size of them.
struct Subtree {
  const std::uint8_t* data;
  std::size_t size;
  std::uint64_t first_chunk;  // its number in the message
  std::uint32_t flags;        // root where this is the whole message, else 0
  ChainingValue* cv;          // out
};

// Neighbouring nodes of one level of one message, to be joined into one. `nodes` is overwritten.
struct Siblings {
  ChainingValue* nodes;
  std::size_t count;
  std::uint32_t flags;  // root where the result is the message's digest, else 0
  ChainingValue* cv;    // out
};

// Subtrees that together have at most this many chunks are hashed in one go, on memory of the stack.
inline constexpr std::size_t group_chunks = 4 * subtree_chunks;

// Hashes any number of subtrees, group by group. Allocates nothing.
void hash_subtrees(std::span<const Subtree> subtrees, const Compressor& compressor);

// Joins each element's nodes into its cv. Elements done are dropped from `trees`, whose content is unspecified
// afterwards.
void join(std::span<Siblings> trees, const Compressor& compressor);

// The chaining value of two neighbours.
[[nodiscard]] ChainingValue join(const ChainingValue& left, const ChainingValue& right, std::uint32_t flags,
                                 const Compressor& compressor);

[[nodiscard]] Digest to_digest(const ChainingValue& cv);

}  // namespace samestep::blake3
