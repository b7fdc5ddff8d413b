// What the kernels of this folder are told: which thread works on which bytes. Made on the host (plan.cpp), copied to
// the device, read by digest.h and summarize.h here. Plain structures: they cross to the device as bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/digest.h"
#include "kernels/summary.h"

namespace samestep::cuda {

// Threads of a block of the digest kernels; also the chunks of a whole subtree.
inline constexpr unsigned digest_threads = 128;
// Threads of a block of the kernel that summarizes; one accumulator of summary/tree.h each.
inline constexpr unsigned summary_threads = 32;
inline constexpr unsigned join_threads = 128;

// One message. It is cut into subtrees of 128 chunks and, at its end, one for every binary digit of what is left, the
// largest first: all are powers of two, so they pack into thread blocks without a gap, and pairing within a block
// never crosses from one to the other.
struct Message {
  const std::uint8_t* data;  // device memory
  std::uint64_t size;        // bytes
  std::uint64_t first_whole;  // whole subtrees of all messages before this one
  std::uint64_t first_value;  // subtrees of all messages before this one: where its chaining values begin
  std::uint32_t tails;        // subtrees of less than 128 chunks
};

// A subtree of less than 128 chunks.
struct Tail {
  std::uint64_t first_slot;   // its first thread, counted over all blocks of tails; a multiple of `chunks`
  std::uint64_t first_chunk;  // in its message
  std::uint64_t value;        // where its chaining value goes
  std::uint32_t message;
  std::uint32_t chunks;       // a power of two
};

struct DigestPlan {
  std::vector<Message> messages;
  std::vector<Tail> tails;  // the largest first
  std::uint64_t whole = 0;  // blocks that hash a whole subtree each; those of tails follow
  std::uint64_t slots = 0;  // threads of tails
  std::uint64_t values = 0;

  [[nodiscard]] std::uint64_t blocks() const { return whole + (slots + digest_threads - 1) / digest_threads; }
};
[[nodiscard]] DigestPlan plan_digests(const Buffer* buffers, std::size_t count);

// One tensor to be summarized.
struct Tensor {
  const void* data;           // device memory
  std::uint64_t reals;
  std::uint64_t first_block;  // blocks of all tensors before this one
  std::uint64_t blocks;
  DType dtype;
};

struct SummaryPlan {
  std::vector<Tensor> tensors;
  std::uint64_t blocks = 0;
};
[[nodiscard]] SummaryPlan plan_summaries(const TypedBuffer* tensors, std::size_t count);

}  // namespace samestep::cuda
