#include "bisect/history.h"

#include <algorithm>

#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

using Index = History::Index;

[[noreturn]] void refuse(const std::string& why) {
  throw BrokenInput("the history of the repository: " + why);
}

// Commits in the order of the caller, their parents as places in it.
struct Unordered {
  std::map<std::string, std::size_t, std::less<>> by_id;
  std::vector<std::vector<std::size_t>> parents;
};

Unordered place(const std::vector<History::Commit>& commits) {
  Unordered result;
  for (std::size_t i = 0; i < commits.size(); ++i) {
    const std::string& id = commits[i].id;
    if (!is_object_id(id)) refuse('"' + printable(id.substr(0, 80)) + "\" is no commit id");
    if (!result.by_id.emplace(id, i).second) refuse("commit " + id + " appears twice");
  }
  for (const History::Commit& commit : commits) {
    std::vector<std::size_t>& known = result.parents.emplace_back();
    for (const std::string& parent : commit.parents) {
      const auto found = result.by_id.find(parent);
      if (found != result.by_id.end()) known.push_back(found->second);
    }
  }
  return result;
}

// Depth first, parents before children, without recursion: a history can be deep.
class Ordering {
 public:
  explicit Ordering(const Unordered& graph) : graph_(graph), state_(graph.parents.size(), State::unseen) {}

  std::vector<std::size_t> order() {
    // From the oldest end, so that unrelated lines come in their order of age.
    for (std::size_t i = state_.size(); i-- > 0;) {
      if (state_[i] == State::unseen) visit(i);
    }
    return std::move(order_);
  }

 private:
  enum class State : std::uint8_t { unseen, open, done };
  struct Frame {
    std::size_t commit;
    std::size_t next_parent = 0;
  };

  void visit(std::size_t start) {
    std::vector<Frame> path{{start}};
    state_[start] = State::open;
    while (!path.empty()) {
      Frame& top = path.back();
      const std::vector<std::size_t>& parents = graph_.parents[top.commit];
      if (top.next_parent == parents.size()) {
        state_[top.commit] = State::done;
        order_.push_back(top.commit);
        path.pop_back();
        continue;
      }
      const std::size_t parent = parents[top.next_parent++];
      if (state_[parent] == State::open) refuse("a commit is among its own ancestors");
      if (state_[parent] == State::done) continue;
      state_[parent] = State::open;
      path.push_back({parent});
    }
  }

  const Unordered& graph_;
  std::vector<State> state_;
  std::vector<std::size_t> order_;
};

}  // namespace

bool is_object_id(std::string_view text) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return (text.size() == 40 || text.size() == 64) && std::all_of(text.begin(), text.end(), digit);
}

History::History(std::vector<Commit> commits) {
  if (commits.size() > max_commits) {
    refuse(std::to_string(commits.size()) + " commits lie between the two revisions, more than the " +
           std::to_string(max_commits) + " that are searched: take revisions closer together, or --first-parent");
  }
  const Unordered graph = place(commits);
  const std::vector<std::size_t> order = Ordering(graph).order();
  std::vector<Index> place_of(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) place_of[order[i]] = static_cast<Index>(i);
  for (const std::size_t from : order) {
    by_id_.emplace(commits[from].id, place_of[from]);
    std::vector<Index>& parents = parents_.emplace_back();
    for (const std::size_t parent : graph.parents[from]) parents.push_back(place_of[parent]);
    commits_.push_back(std::move(commits[from]));
  }
  index_trees();
}

void History::index_trees() {
  std::map<std::string_view, Index> first;
  for (Index i = 0; i < size(); ++i) {
    const std::string& tree = commits_[i].tree;
    same_tree_.push_back(tree.empty() ? i : first.emplace(tree, i).first->second);
  }
}

std::optional<Index> History::find(std::string_view id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  return found->second;
}

Index History::need(std::string_view id, std::string_view what) const {
  const std::optional<Index> found = find(id);
  if (!found) refuse(std::string(what) + ", " + printable(id.substr(0, 80)) + ", is not in it");
  return *found;
}

History::Marks History::ancestors(const std::vector<Index>& commits) const {
  Marks marks(size(), 0);
  for (const Index commit : commits) marks[commit] = 1;
  for (std::size_t i = size(); i-- > 0;) {
    if (marks[i] == 0) continue;
    for (const Index parent : parents_[i]) marks[parent] = 1;
  }
  return marks;
}

History::Marks History::descendants(const std::vector<Index>& commits) const {
  Marks marks(size(), 0);
  for (const Index commit : commits) marks[commit] = 1;
  for (std::size_t i = 0; i < size(); ++i) {
    for (const Index parent : parents_[i]) marks[i] = marks[i] | marks[parent];
  }
  return marks;
}

History History::first_parent_line(std::string_view newest, std::string_view oldest) const {
  std::vector<Commit> line;
  std::optional<Index> next = need(newest, "the newest revision");
  while (next) {
    const Index commit = *next;
    line.push_back(commits_[commit]);
    if (line.back().parents.size() > 1) line.back().parents.resize(1);
    // A first parent outside of the history ends the line, whatever the other parents are.
    next = line.back().id == oldest || line.back().parents.empty() ? std::nullopt : find(line.back().parents.front());
  }
  return History(std::move(line));
}

AncestorSums::AncestorSums(const History& history) : brought_in_(history.size()) {
  bool merges = false;
  for (Index i = 0; i < history.size(); ++i) {
    first_parent_.push_back(history.parents(i).empty() ? none : history.parents(i).front());
    merges = merges || history.parents(i).size() > 1;
  }
  if (!merges) return;
  std::vector<std::uint64_t> has(history.size());  // which of 64 commits a commit descends from
  for (std::size_t base = 0; base < history.size(); base += 64) {
    for (std::size_t i = 0; i < history.size(); ++i) {
      has[i] = i >= base && i - base < 64 ? std::uint64_t{1} << (i - base) : 0;
      const std::uint64_t own = has[i];
      for (const Index parent : history.parents(static_cast<Index>(i))) has[i] |= has[parent];
      if (history.parents(static_cast<Index>(i)).size() < 2) continue;
      const std::uint64_t news = has[i] & ~has[first_parent_[i]] & ~own;
      for (std::size_t bit = 0; bit < 64; ++bit) {
        if ((news >> bit & 1) != 0) brought_in_[i].push_back(static_cast<Index>(base + bit));
      }
    }
  }
}

}  // namespace samestep
