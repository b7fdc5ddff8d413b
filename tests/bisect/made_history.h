// Histories of made commits whose truth is known, and trials that know it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bisect/search.h"

namespace samestep::testing {

// How many histories a claim is shown on; sanitizers look for other things, ten times slower.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SAMESTEP_FEW_SEEDS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SAMESTEP_FEW_SEEDS
#endif
#endif
#ifdef SAMESTEP_FEW_SEEDS
inline constexpr std::uint64_t seeds = 30;
#else
inline constexpr std::uint64_t seeds = 1000;
#endif

// SplitMix64: the same numbers everywhere, which the standard's distributions are not.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  bool chance(double p) { return static_cast<double>(next() >> 11) * 0x1p-53 < p; }

 private:
  std::uint64_t state_;
};

struct HistoryShape {
  std::size_t commits = 1000;
  double merges = 0;              // how likely a side branch of 1 to 12 commits comes next on the main line
  std::size_t broken_ranges = 0;  // of 30 commits that do not build
  double uncounted = 0;           // share of commits that --path leaves out
  std::size_t changes = 1;        // of behaviour; with 2 and more, some are changes back
};

// The first commit is good, the last bad; both build, and count.
class MadeHistory {
 public:
  MadeHistory(const HistoryShape& shape, std::uint64_t seed);

  [[nodiscard]] const History& history() const { return history_; }
  [[nodiscard]] SearchOptions options() const;
  [[nodiscard]] std::string id(std::size_t i) const { return history_.at(static_cast<History::Index>(i)).id; }
  // Truth, by place in the history.
  [[nodiscard]] std::uint32_t behaviour(std::size_t i) const { return behaviour_[i]; }
  [[nodiscard]] bool diverges(std::size_t i) const { return behaviour_[i] != 0; }
  [[nodiscard]] bool broken(std::size_t i) const { return broken_[i] != 0; }
  // Commits whose behaviour is none of their parents', oldest first.
  [[nodiscard]] const std::vector<std::size_t>& changers() const { return changers_; }
  // What no trial can tell from the one culprit: each candidate under which every revision that builds would answer as
  // it does. Looked up candidate by candidate, not searched. REQUIRES shape.changes == 1.
  [[nodiscard]] std::vector<std::string> indistinguishable() const;
  void break_commits(std::size_t first, std::size_t count);

  [[nodiscard]] TrialAnswer truth(const std::string& commit) const;

 private:
  [[nodiscard]] bool plausible(std::size_t c) const;

  History history_;
  std::vector<std::uint32_t> behaviour_;  // 0: the reference's
  History::Marks broken_;
  std::vector<std::size_t> changers_;
};

// Answers wrongly with probability `wrong` and with `flaky` instead with probability `flaky`. `made` must outlive it.
class FlakyTrials {
 public:
  FlakyTrials(const MadeHistory& made, std::uint64_t seed, double wrong, double flaky)
      : made_(made), dice_(seed), wrong_(wrong), flaky_(flaky) {}
  TrialAnswer operator()(const std::string& commit);

 private:
  const MadeHistory& made_;
  Dice dice_;
  double wrong_;
  double flaky_;
};

// Asks and tells until the search ends. Fails the test where one tree is asked for the same trial twice.
BisectAnswer conduct(RevisionSearch& search, const Trial& trial, std::size_t workers = 1);
BisectAnswer conduct(const MadeHistory& made, const Trial& trial, std::size_t workers = 1);

}  // namespace samestep::testing
