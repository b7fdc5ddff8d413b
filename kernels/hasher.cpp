// The incremental digest: bytes are gathered into subtrees, and a stack holds the nodes to the left of the present one.
// A subtree is hashed only when more bytes follow it, since the last node of a message may be its root.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/blake3/tree.h"

namespace samestep {

using namespace blake3;

struct Hasher::State {
  std::vector<std::uint8_t> tail;    // at most subtree_size bytes, not yet hashed
  std::uint64_t subtrees = 0;        // hashed ones
  std::vector<ChainingValue> stack;  // nodes of decreasing size, one for each one-bit of `subtrees`

  void push(const std::uint8_t* subtree);
  [[nodiscard]] ChainingValue hash_tail(std::uint32_t flags) const;
};

namespace {

const Compressor& best() { return compressor(best_backend()); }

}  // namespace

// Two nodes of one size become one, as a binary counter carries.
void Hasher::State::push(const std::uint8_t* subtree) {
  ChainingValue cv;
  const Subtree job{subtree, subtree_size, subtrees * subtree_chunks, 0, &cv};
  hash_subtrees(std::span(&job, 1), best());
  for (std::uint64_t carry = ++subtrees; carry % 2 == 0; carry /= 2) {
    cv = join(stack.back(), cv, 0, best());
    stack.pop_back();
  }
  stack.push_back(cv);
}

ChainingValue Hasher::State::hash_tail(std::uint32_t flags) const {
  ChainingValue cv;
  const Subtree job{tail.data(), tail.size(), subtrees * subtree_chunks, flags, &cv};
  hash_subtrees(std::span(&job, 1), best());
  return cv;
}

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

Hasher& Hasher::update(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  std::vector<std::uint8_t>& tail = state_->tail;
  while (size > 0) {
    if (tail.size() == subtree_size) {
      state_->push(tail.data());
      tail.clear();
    }
    // Long updates are hashed where they lie; what may be the message's end is kept.
    if (tail.empty() && size > subtree_size) {
      state_->push(bytes);
      bytes += subtree_size;
      size -= subtree_size;
      continue;
    }
    const std::size_t taken = std::min(size, subtree_size - tail.size());
    tail.insert(tail.end(), bytes, bytes + taken);
    bytes += taken;
    size -= taken;
  }
  return *this;
}

Digest Hasher::finish() const {
  const std::vector<ChainingValue>& stack = state_->stack;
  ChainingValue cv = state_->hash_tail(stack.empty() ? root : 0);
  for (std::size_t i = stack.size(); i-- > 0;) cv = join(stack[i], cv, i == 0 ? root : 0, best());
  return to_digest(cv);
}

}  // namespace samestep
