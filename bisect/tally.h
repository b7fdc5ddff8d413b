// What trials have answered, a tally a tree: commits with equal trees answer alike, so they share one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bisect/history.h"
#include "bisect/noise.h"
#include "bisect/trial.h"

namespace samestep {

struct Tally {
  std::uint32_t same = 0;
  std::uint32_t diverged = 0;
  std::uint32_t flaky = 0;
  std::uint32_t untestable = 0;
  std::uint32_t asked = 0;                           // questions given out, told or not
  std::map<std::uint32_t, TrialAnswer> divergences;  // by repetition
  std::map<std::string, std::uint32_t> behaviours;   // how often each chain head was answered
  std::string why_untestable;                        // of the first such answer; for people

  [[nodiscard]] std::uint32_t told() const { return same + diverged; }
  [[nodiscard]] std::uint32_t minority() const { return same < diverged ? same : diverged; }
  [[nodiscard]] std::uint32_t majority() const { return told() - minority(); }
  [[nodiscard]] Split split() const { return {minority(), majority()}; }
};

// Of a commit that no answer told anything of: " is flaky", " is untestable: it does not build: ..."; empty where it
// was not tried.
[[nodiscard]] std::string why_nothing_is_told(const Tally& tally);

class Tallies {
 public:
  // `history` must outlive this.
  explicit Tallies(const History& history) : history_(history), by_tree_(history.size()) {}

  [[nodiscard]] const Tally& of(History::Index commit) const { return by_tree_[history_.same_tree(commit)]; }
  std::uint32_t next_repetition(History::Index commit) { return by_tree_[history_.same_tree(commit)].asked++; }
  void add(History::Index commit, std::uint32_t repetition, const TrialAnswer& answer);

  // The oldest commit of each tree that has answered, in the order of their first answers.
  [[nodiscard]] const std::vector<History::Index>& answered() const { return answered_; }
  [[nodiscard]] const Noise& noise() const { return noise_; }
  // The revision answered at least twice, and what it mostly answers is hardly in doubt: with one in a hundred of
  // accusation_risk, because many revisions are asked and some would err together otherwise.
  [[nodiscard]] bool settled(History::Index commit) const;
  // No use in asking (again): it does not build, or answers only that it is flaky. A program that is flaky now and then
  // is given more patience than one that never was anything else.
  [[nodiscard]] bool hopeless(History::Index commit) const;

  [[nodiscard]] std::uint64_t trials() const { return trials_; }
  [[nodiscard]] std::uint64_t untestable() const { return untestable_; }
  [[nodiscard]] std::uint64_t flaky() const { return flaky_; }
  [[nodiscard]] std::uint64_t steps_replayed() const { return steps_; }
  [[nodiscard]] std::uint64_t contradictions() const;  // answers that others about the same tree outvoted
  [[nodiscard]] std::uint64_t repeated() const;        // answers beyond the first of each tree

 private:
  void count(Tally& tally, std::uint32_t repetition, const TrialAnswer& answer);
  void estimate_rates();

  const History& history_;
  std::vector<Tally> by_tree_;  // by the oldest commit of the tree
  std::vector<History::Index> answered_;
  bool now_and_then_ = false;  // a revision was flaky and answered as well
  Noise noise_;
  std::vector<double>
      rates_;  // Noise::rates_of() the trees that answered more than once; of one answer nothing follows
  std::uint64_t trials_ = 0;
  std::uint64_t untestable_ = 0;
  std::uint64_t flaky_ = 0;
  std::uint64_t steps_ = 0;
};

}  // namespace samestep
