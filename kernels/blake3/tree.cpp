#include "kernels/blake3/tree.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace samestep::blake3 {
namespace {

static_assert(std::endian::native == std::endian::little, "chaining values are stored as they lie in memory");

// Parents wait here until there are enough of them to fill the lanes many times over.
class ParentQueue {
 public:
  explicit ParentQueue(const Compressor& compressor) : compressor_(compressor) {}
  void add(const Parent& pair) {
    if (count_ == jobs_.size()) flush();
    jobs_[count_++] = pair;
  }
  void flush() {
    if (count_ > 0) compressor_.hash_parents(jobs_.data(), count_);
    count_ = 0;
  }

 private:
  const Compressor& compressor_;
  std::size_t count_ = 0;
  std::array<Parent, 256> jobs_;
};

void add_pairs(const Siblings& tree, ParentQueue& queue) {
  const std::uint32_t flags = tree.count == 2 ? tree.flags : 0;
  for (std::size_t pair = 0; pair < tree.count / 2; ++pair)
    queue.add({tree.nodes[2 * pair].data(), tree.nodes[pair].data(), flags});
}

// After its pairs are joined: the odd node moves up, and a tree with one node left is done.
bool next_level(Siblings& tree) {
  if (tree.count % 2 == 1) tree.nodes[tree.count / 2] = tree.nodes[tree.count - 1];
  tree.count = (tree.count + 1) / 2;
  if (tree.count == 1) *tree.cv = tree.nodes[0];
  return tree.count > 1;
}

// The chunks of one group: whole ones in front, short ones, at most one of each subtree, from the back.
class Group {
 public:
  // False where the subtree has no room left; the group must then be hashed first.
  bool add(const Subtree& subtree);
  void hash(const Compressor& compressor);

 private:
  void add_chunk(const Chunk& chunk);

  std::size_t chunks_ = 0, whole_ = 0, short_ = 0, trees_ = 0;
  std::array<Chunk, group_chunks> jobs_;
  std::array<ChainingValue, group_chunks> nodes_;
  std::array<Siblings, group_chunks> siblings_;
};

bool Group::add(const Subtree& subtree) {
  const std::size_t count = chunks_of(subtree.size);
  if (chunks_ + count > group_chunks) return false;
  ChainingValue* nodes = nodes_.data() + chunks_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t offset = i * chunk_size;
    const std::size_t size = std::min(chunk_size, subtree.size - offset);
    ChainingValue& cv = count == 1 ? *subtree.cv : nodes[i];
    add_chunk({subtree.data + offset, static_cast<std::uint32_t>(size), count == 1 ? subtree.flags : 0,
               subtree.first_chunk + i, cv.data()});
  }
  if (count > 1) siblings_[trees_++] = {nodes, count, subtree.flags, subtree.cv};
  chunks_ += count;
  return true;
}

void Group::add_chunk(const Chunk& chunk) {
  if (chunk.size == chunk_size)
    jobs_[whole_++] = chunk;
  else
    jobs_[group_chunks - ++short_] = chunk;
}

void Group::hash(const Compressor& compressor) {
  compressor.hash_chunks(jobs_.data(), whole_);
  // Sorted by length, the lanes of a batch end at about the same block.
  const std::span<Chunk> ragged = std::span(jobs_).last(short_);
  std::sort(ragged.begin(), ragged.end(), [](const Chunk& a, const Chunk& b) { return a.size > b.size; });
  compressor.hash_chunks(ragged.data(), ragged.size());
  join(std::span(siblings_).first(trees_), compressor);
  chunks_ = whole_ = short_ = trees_ = 0;
}

}  // namespace

void hash_subtrees(std::span<const Subtree> subtrees, const Compressor& compressor) {
  Group group;
  for (const Subtree& subtree : subtrees) {
    if (group.add(subtree)) continue;
    group.hash(compressor);
    group.add(subtree);
  }
  group.hash(compressor);
}

void join(std::span<Siblings> trees, const Compressor& compressor) {
  ParentQueue queue(compressor);
  for (Siblings& tree : trees)
    if (tree.count == 1) *tree.cv = tree.nodes[0];
  auto end = std::remove_if(trees.begin(), trees.end(), [](const Siblings& tree) { return tree.count == 1; });
  while (end != trees.begin()) {
    for (auto tree = trees.begin(); tree != end; ++tree) add_pairs(*tree, queue);
    queue.flush();
    end = std::remove_if(trees.begin(), end, [](Siblings& tree) { return !next_level(tree); });
  }
}

ChainingValue join(const ChainingValue& left, const ChainingValue& right, std::uint32_t flags,
                   const Compressor& compressor) {
  std::array<ChainingValue, 2> nodes = {left, right};
  const Parent pair{nodes[0].data(), nodes[0].data(), flags};
  compressor.hash_parents(&pair, 1);
  return nodes[0];
}

Digest to_digest(const ChainingValue& cv) {
  Digest digest;
  static_assert(sizeof digest.bytes == sizeof cv);
  std::memcpy(digest.bytes.data(), cv.data(), sizeof cv);
  return digest;
}

}  // namespace samestep::blake3
