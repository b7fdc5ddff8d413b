#include "kernels/digest.h"

#include <algorithm>
#include <vector>

#include "kernels/blake3/tree.h"
#include "kernels/portions.h"

namespace samestep {
namespace {

using namespace blake3;

// The work of one call: every buffer's subtrees, in order, and the chaining values that they leave.
struct Plan {
  std::vector<Subtree> subtrees;
  std::vector<ChainingValue> values;
  std::vector<std::size_t> portions;
};

void add_subtrees(const Buffer& buffer, Plan& plan) {
  const auto* data = static_cast<const std::uint8_t*>(buffer.data);
  const std::size_t count = subtrees_of(buffer.size);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t offset = i * subtree_size;
    plan.subtrees.push_back({data + offset, std::min(subtree_size, buffer.size - offset), i * subtree_chunks,
                             count == 1 ? root : 0, &plan.values[plan.subtrees.size()]});
  }
}

// In chunks: not so few that the lanes stay empty, nor more than what is hashed in one go.
constexpr std::size_t least_portion = 64, most_portion = group_chunks;

Plan plan_for(std::span<const Buffer> buffers, std::size_t threads) {
  Plan plan;
  std::size_t subtrees = 0, chunks = 0;
  for (const Buffer& buffer : buffers) {
    subtrees += subtrees_of(buffer.size);
    chunks += chunks_of(buffer.size);
  }
  plan.values.resize(subtrees);
  plan.subtrees.reserve(subtrees);
  for (const Buffer& buffer : buffers) add_subtrees(buffer, plan);
  plan.portions = cut_into_portions(subtrees, portions_for(chunks, threads, least_portion, most_portion), chunks,
                                    [&](std::size_t i) { return chunks_of(plan.subtrees[i].size); });
  return plan;
}

// What is left above the subtrees: a 128th of the parents, on the calling thread.
void join_subtrees(std::span<const Buffer> buffers, Plan& plan, const Compressor& compressor) {
  std::vector<Siblings> trees;
  ChainingValue* nodes = plan.values.data();
  for (const Buffer& buffer : buffers) {
    const std::size_t count = subtrees_of(buffer.size);
    if (count > 1) trees.push_back({nodes, count, root, nodes});
    nodes += count;
  }
  join(trees, compressor);
}

}  // namespace

Digest digest(std::span<const std::byte> bytes) {
  Digest result;
  const Buffer buffer{bytes.data(), bytes.size()};
  digest(std::span(&buffer, 1), std::span(&result, 1));
  return result;
}

Digest digest(std::string_view text) { return digest(std::as_bytes(std::span(text))); }

void digest(std::span<const Buffer> buffers, std::span<Digest> digests, const ParallelFor& parallel, Backend backend) {
  if (buffers.empty()) return;
  const Compressor& compressor = blake3::compressor(backend);
  Plan plan = plan_for(buffers, parallel.threads);
  parallel.run(plan.portions.size() - 1, [&](std::size_t begin, std::size_t end) {
    const std::size_t first = plan.portions[begin], last = plan.portions[end];
    hash_subtrees(std::span(plan.subtrees).subspan(first, last - first), compressor);
  });
  join_subtrees(buffers, plan, compressor);
  const ChainingValue* value = plan.values.data();
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    digests[i] = to_digest(*value);
    value += subtrees_of(buffers[i].size);
  }
}

std::string Digest::hex() const {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::optional<Digest> Digest::from_hex(std::string_view text) {
  Digest digest;
  if (text.size() != 2 * digest.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    digest.bytes[i / 2] = static_cast<std::uint8_t>(digest.bytes[i / 2] << 4 | digit);
  }
  return digest;
}

}  // namespace samestep
