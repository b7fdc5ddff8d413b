#include "kernels/cuda/plan.h"

#include <algorithm>
#include <bit>

#include "kernels/blake3/tree.h"
#include "kernels/summary/reals.h"
#include "kernels/summary/tree.h"

namespace samestep::cuda {
namespace {

static_assert(digest_threads == blake3::subtree_chunks);

void add_tails(const Message& message, std::uint32_t index, std::uint64_t chunks, DigestPlan& plan) {
  std::uint64_t first_chunk = chunks - chunks % digest_threads;
  std::uint64_t value = message.first_value + first_chunk / digest_threads;
  for (std::uint32_t size = digest_threads / 2; size > 0; size /= 2) {
    if (!(chunks & size)) continue;
    plan.tails.push_back({0, first_chunk, value++, index, size});
    first_chunk += size;
  }
}

}  // namespace

DigestPlan plan_digests(const Buffer* buffers, std::size_t count) {
  DigestPlan plan;
  plan.messages.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t chunks = blake3::chunks_of(buffers[i].size), whole = chunks / digest_threads;
    const auto tails = static_cast<std::uint32_t>(std::popcount(chunks % digest_threads));
    plan.messages.push_back(
        {static_cast<const std::uint8_t*>(buffers[i].data), buffers[i].size, plan.whole, plan.values, tails});
    add_tails(plan.messages.back(), static_cast<std::uint32_t>(i), chunks, plan);
    plan.whole += whole;
    plan.values += whole + tails;
  }
  std::stable_sort(plan.tails.begin(), plan.tails.end(),
                   [](const Tail& a, const Tail& b) { return a.chunks > b.chunks; });
  for (Tail& tail : plan.tails) {
    tail.first_slot = plan.slots;
    plan.slots += tail.chunks;
  }
  return plan;
}

SummaryPlan plan_summaries(const TypedBuffer* tensors, std::size_t count) {
  SummaryPlan plan;
  plan.tensors.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t reals = tensors[i].elements * summary::reals_of(tensors[i].dtype);
    const std::uint64_t blocks = (reals + summary::block_reals - 1) / summary::block_reals;
    plan.tensors.push_back({tensors[i].data, reals, plan.blocks, blocks, tensors[i].dtype});
    plan.blocks += blocks;
  }
  return plan;
}

}  // namespace samestep::cuda
