// The search for every commit that changes behaviour. Trials replay the whole recorded length and answer with a chain
// head (TrialAnswer::behaviour); a commit changes behaviour if its head is none of its parents'. What behaves alike at
// two ends may have changed and changed back between them, so every tree is tried, once, in an order that halves what
// is unknown: a search that is stopped early has looked everywhere. With assume_monotone, revisions between two that
// behave alike are taken for the same and not tried.
//
// A head is believed where it leads the next one, among the answers of one tree, by a margin k of at least 2 with
//   trees * (e / (1 - e))^k <= accusation_risk,   e = (outvoted answers + 1/2) / (answers + 1) :
// Wald's sequential test between the two, for all trees together (union bound), with the estimate e in place of the
// error rate. Assumed as in bisect/noise.h; that e is an estimate makes the bound an estimate as well. Only commits
// that would be accused, and those they differ from, are tried more than once: an error that hides a change (it makes
// two neighbours look alike) is not looked for.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bisect/search.h"

namespace samestep {

class ChangeSearch : public RevisionSearch {
 public:
  // Throws as make_search() does.
  ChangeSearch(History history, SearchOptions options);
  [[nodiscard]] BisectAnswer answer() const override;
  [[nodiscard]] std::size_t suspected() const override;  // commits not looked at yet
  [[nodiscard]] History::Marks suspects_now() const override { return unknown(); }

 protected:
  std::vector<History::Index> plan(std::size_t workers) override;

 private:
  using Index = History::Index;
  using Marks = History::Marks;

  // A commit whose head is none of those before it.
  struct Change {
    Index commit = 0;
    std::vector<Index> before;   // the nearest commits before it that could be tried
    std::vector<Index> skipped;  // between them, those that could not
  };
  // The head that leads among the answers of a commit's tree, and by how many.
  struct Head {
    std::string behaviour;  // empty: none leads
    std::uint32_t lead = 0;
  };

  void choose_what_is_looked_at();
  [[nodiscard]] Head head(Index commit) const;
  [[nodiscard]] std::string known(Index commit) const;  // its head, tried or inferred; empty: unknown
  void infer();
  [[nodiscard]] Marks unknown() const;
  [[nodiscard]] std::vector<Index> contested() const;
  [[nodiscard]] std::vector<Index> halves(Marks unknown, std::size_t workers) const;
  [[nodiscard]] std::optional<Index> part_of(const std::vector<Index>& area, double aim, const Marks& taken) const;
  [[nodiscard]] std::vector<std::vector<Index>> areas(const Marks& unknown) const;
  [[nodiscard]] Change before(Index commit) const;
  [[nodiscard]] std::vector<Change> changes() const;
  [[nodiscard]] std::uint32_t margin() const;
  [[nodiscard]] double error_rate() const;
  [[nodiscard]] bool believed(Index commit) const { return head(commit).lead >= margin(); }
  [[nodiscard]] BehaviourChange named(const Change& change) const;
  [[nodiscard]] bool over_budget() const;
  void conclude(BisectAnswer& answer) const;

  AncestorSums sums_;
  Index good_ = 0, bad_ = 0;
  Marks inside_;                       // what bad contains and good does not
  Marks looked_at_;                    // those of them that count, and the commits that they are compared with
  std::size_t trees_ = 0;              // of what is looked at
  std::vector<std::string> inferred_;  // heads of commits between two that behave alike
};

}  // namespace samestep
