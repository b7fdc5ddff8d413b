// The search for one culprit. As `git bisect`, it takes good revisions for good with all their ancestors, and asks the
// revision that halves what is suspected; unlike it, it
// - weighs answers instead of believing each (bisect/noise.h), so that it takes wrong ones back;
// - asks away from revisions that do not build, and goes on until no revision is left that could tell suspects apart:
//   what remains is then exactly what trials cannot tell apart;
// - asks revisions that contain the good one first. A side branch that was forked before it is opened only where
//   its merge is suspected, and only if the commits it was forked from are the same as the reference: a branch that
//   never had the reference's behaviour accuses nobody;
// - narrows to the newest interval where trials show that behaviour changed more than once.
// Ties go to the oldest commit in the history's order.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bisect/beliefs.h"
#include "bisect/search.h"

namespace samestep {

class CulpritSearch : public RevisionSearch {
 public:
  // Throws as make_search() does.
  CulpritSearch(History history, SearchOptions options);
  [[nodiscard]] BisectAnswer answer() const override;
  [[nodiscard]] std::size_t suspected() const override;
  [[nodiscard]] History::Marks suspects_now() const override { return beliefs_.likeliest_marks(); }

 protected:
  std::vector<History::Index> plan(std::size_t workers) override;

 private:
  using Index = History::Index;
  using Marks = History::Marks;

  // Where the culprit is looked for: what `bad` contains and none of `goods` does.
  struct Range {
    std::vector<Index> goods;
    Index bad = 0;
    Marks inside;      // `bad` among them
    Marks on_path;     // those of them that contain one of `goods`
    Marks candidates;  // those of them that count
  };
  struct End {
    Conclusion conclusion;
    std::string why;
  };

  [[nodiscard]] Range range_between(std::vector<Index> goods, Index bad) const;
  // May the commit be asked, and do its answers speak of the candidates.
  [[nodiscard]] bool in_model(Index commit) const;
  void learn();  // beliefs_ from the tallies; narrows the range where it must
  // To what lies after the settled good commits and up to the oldest settled bad one; false where that is the range.
  bool narrow();
  // What the revisions of one tree contain: some of them, and every one.
  struct Contents {
    bool in_model = false;
    Marks some, every;
  };
  [[nodiscard]] const Contents& contents(Index tree);
  void hear_all();
  void forget();  // after what is in the model has changed
  // No hypothesis agrees with every settled tree: behaviour changed more than once.
  [[nodiscard]] bool contradicted();
  // Set end_ and return true where an end cannot be tried, or was tried and is not as claimed.
  [[nodiscard]] bool unusable_end();
  [[nodiscard]] bool wrong_end();
  [[nodiscard]] static End wrong(bool good);

  // The parts of a plan, each tried where those before it are empty.
  [[nodiscard]] std::vector<Index> unchecked_ends() const;
  void add_splitters(std::vector<Index>& questions, std::size_t workers) const;
  [[nodiscard]] std::vector<Index> splitters(bool counted) const;
  [[nodiscard]] std::vector<double> testability() const;
  [[nodiscard]] std::vector<Index> side_bases() const;
  [[nodiscard]] std::vector<Index> suspected_sides() const;
  bool open_sides();
  [[nodiscard]] std::vector<Index> confirmations() const;

  [[nodiscard]] std::vector<Index> suspects() const;
  [[nodiscard]] std::vector<std::uint32_t> suspects_contained() const;
  [[nodiscard]] std::vector<Index> should_diverge(const std::vector<Index>& accused) const;
  [[nodiscard]] std::vector<Index> should_be_same(const std::vector<Index>& accused) const;
  [[nodiscard]] bool confirmed(Index commit, bool diverges) const;
  [[nodiscard]] bool never_same(Index commit) const;

  // culprit_answer.cpp
  [[nodiscard]] End conclude() const;
  [[nodiscard]] std::string why_several(const std::vector<Index>& accused) const;
  [[nodiscard]] std::string tell_of(Index commit) const;
  [[nodiscard]] bool all_count() const;
  void name_accused(BisectAnswer& answer, const std::vector<Index>& accused) const;
  void tell_why_untried(BisectAnswer& answer, const std::vector<Index>& accused) const;
  void tell_of_another_change(BisectAnswer& answer) const;
  [[nodiscard]] std::vector<std::string> assumptions() const;

  AncestorSums sums_;
  Index good_ = 0, bad_ = 0;
  Range range_;
  Marks opened_;  // commits of side branches that may be asked
  Beliefs beliefs_;
  std::map<Index, Contents> contents_;       // by tree
  std::map<Index, Tally> heard_;             // by tree: what beliefs_ know already
  std::vector<std::vector<Index>> by_tree_;  // the commits with one tree, by the oldest of them
  bool narrowed_ = false;                    // behaviour changed more than once
  std::optional<End> end_;
};

}  // namespace samestep
