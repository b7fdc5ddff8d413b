// A commit graph as a value, and what the search asks of it. No git here: whoever read it from a repository hands over
// plain commits.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace samestep {

class History {
 public:
  struct Commit {
    std::string id;                    // 40 or 64 lower-case hexadecimal digits
    std::string tree;                  // as id; equal trees answer alike. Empty: unknown, equal to no other
    std::vector<std::string> parents;  // ids, the first parent first; one that is not in the history is ignored
    bool counts = true;                // may be accused; false where --path leaves it out
  };
  // A commit's place in the order below. A mark a commit: 1 where it belongs to a set.
  using Index = std::uint32_t;
  using Marks = std::vector<std::uint8_t>;
  static constexpr std::size_t max_commits = 200'000;

  // Puts the commits into an order in which parents stand before children: the reverse of the order given, where that
  // was newest first with children before parents. Give `git rev-list --topo-order`, in which a side branch stands
  // together: a search takes neighbours in this order for alike. Throws BrokenInput for an id that is none or appears
  // twice, for a commit among its own ancestors, and for more than max_commits.
  explicit History(std::vector<Commit> commits);

  [[nodiscard]] std::size_t size() const { return commits_.size(); }
  [[nodiscard]] const Commit& at(Index commit) const { return commits_[commit]; }
  [[nodiscard]] const std::vector<Index>& parents(Index commit) const { return parents_[commit]; }
  [[nodiscard]] std::optional<Index> find(std::string_view id) const;
  // find(), or BrokenInput that names `what`, e.g. "the good revision".
  [[nodiscard]] Index need(std::string_view id, std::string_view what) const;
  // The oldest commit with the same tree; the commit itself where there is no older one.
  [[nodiscard]] Index same_tree(Index commit) const { return same_tree_[commit]; }

  // Of one commit or several: they and all that they descend from; they and all that descends from them.
  [[nodiscard]] Marks ancestors(const std::vector<Index>& commits) const;
  [[nodiscard]] Marks descendants(const std::vector<Index>& commits) const;

  // The commits from `newest` along first parents, as a history in which each has that one parent. Ends after `oldest`
  // where it is met.
  [[nodiscard]] History first_parent_line(std::string_view newest, std::string_view oldest) const;

 private:
  History() = default;
  void index_trees();
  std::vector<Commit> commits_;
  std::vector<std::vector<Index>> parents_;
  std::map<std::string, Index, std::less<>> by_id_;
  std::vector<Index> same_tree_;
};

// True for what may name a commit or a tree.
[[nodiscard]] bool is_object_id(std::string_view text);

// For every commit, the sum of a weight over it and all its ancestors. git bisect's count of candidates "between" is
// this with weight 1 on each candidate, and P(revision diverges) is this with each candidate's probability.
// A merge adds, to the sum of its first parent, what its other parents brought in: those lists are made once, in
// commits^2 / 64 steps; a sum then takes one step a commit and one a commit brought in.
class AncestorSums {
 public:
  explicit AncestorSums(const History& history);
  // REQUIRES a weight for each commit. The order of the additions is fixed, so equal weights give equal bits.
  template <class Weight>
  [[nodiscard]] std::vector<Weight> operator()(const std::vector<Weight>& weights) const {
    std::vector<Weight> sums(weights);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (first_parent_[i] != none) sums[i] += sums[first_parent_[i]];
      for (const History::Index other : brought_in_[i]) sums[i] += weights[other];
    }
    return sums;
  }

 private:
  static constexpr History::Index none = ~History::Index{0};
  std::vector<History::Index> first_parent_;
  std::vector<std::vector<History::Index>> brought_in_;  // ancestors of a merge that its first parent does not have
};

}  // namespace samestep
