// The revision search: which revisions to try next, and what follows from their answers. No process, no git, no clock:
// a history and answers come in, questions and an answer go out, so that it is tested without either.
//
// The protocol is ask and tell. ask(N) names up to N trials that may run side by side, a round; every one of them is
// told, in any order, before the next is asked. What is asked depends on what was told and on the N's alone, so that a
// log of both (bisect/transcript.h) gives the state again.
//
//   good: same   bad: diverged      both ends, before anything else (and whatever fills the round)
//   ...                             revisions that split what is suspected into N + 1 parts
//   culprit, its parents            once more each, before it is accused
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bisect/answer.h"
#include "bisect/history.h"
#include "bisect/tally.h"
#include "bisect/trial.h"

namespace samestep {

struct SearchOptions {
  std::string good, bad;  // commit ids
  bool first_parent = false;
  bool all = false;                 // every change between the two, not one culprit
  bool assume_monotone = false;     // of `all`: revisions between two that behave alike are not looked at
  std::uint64_t max_trials = 2000;  // of `all`: beyond one a tree

  bool operator==(const SearchOptions&) const = default;
};

// One trial. A trial that is asked again runs again: `repetition` counts those of the same tree from 0, and a cache of
// answers must keep it in its key.
struct TrialQuestion {
  std::string commit;
  std::uint32_t repetition = 0;

  bool operator==(const TrialQuestion&) const = default;
};

class RevisionSearch {
 public:
  virtual ~RevisionSearch() = default;
  RevisionSearch(const RevisionSearch&) = delete;
  RevisionSearch& operator=(const RevisionSearch&) = delete;

  // The next round: at most `workers` questions, at least one, or none where the search has ended. While questions of
  // the last round are open, those again. REQUIRES workers > 0.
  [[nodiscard]] std::vector<TrialQuestion> ask(std::size_t workers);
  // Throws BrokenInput for what was not asked, or was told already, and, in a search for all changes, for an answer
  // without behaviour.
  void tell(const TrialQuestion& question, const TrialAnswer& answer);
  // A question of the last round is not answered yet.
  [[nodiscard]] bool round_open() const { return !open_.empty(); }
  // After ask() named no question: the conclusion. Before: what is known so far, as if no further trial were possible.
  [[nodiscard]] virtual BisectAnswer answer() const = 0;
  // How many commits the answers so far speak against least (of a search for all changes: those not looked at); for
  // people who watch.
  [[nodiscard]] virtual std::size_t suspected() const = 0;
  // They themselves, a mark a commit of the history.
  [[nodiscard]] virtual History::Marks suspects_now() const = 0;
  [[nodiscard]] const SearchOptions& options() const { return options_; }
  // What is searched: of first parents, their line alone.
  [[nodiscard]] const History& history() const { return history_; }

 protected:
  RevisionSearch(History history, SearchOptions options);
  // What to try next, oldest question first; empty: the search has ended. A commit may stand there twice.
  virtual std::vector<History::Index> plan(std::size_t workers) = 0;

  [[nodiscard]] const Tallies& tallies() const { return tallies_; }
  [[nodiscard]] bool budget_spent() const { return tallies_.trials() >= options_.max_trials; }
  [[nodiscard]] BisectAnswer costs() const;  // an answer with the counts filled in

 private:
  History history_;
  SearchOptions options_;
  Tallies tallies_;
  std::vector<TrialQuestion> open_;
  std::uint64_t rounds_ = 0;
};

// The search that `options` ask for. Throws BrokenInput where good or bad is not in the history, good is not an
// ancestor of bad (along first parents, if asked for), or both are one commit.
[[nodiscard]] std::unique_ptr<RevisionSearch> make_search(const History& history, const SearchOptions& options);

// Runs the trials of a round and tells each answer as it comes: `tell(i, answer)` for the i-th question.
using TrialRound = std::function<void(const std::vector<TrialQuestion>& questions,
                                      const std::function<void(std::size_t, const TrialAnswer&)>& tell)>;
// One after the other.
[[nodiscard]] TrialRound one_by_one(Trial trial);

}  // namespace samestep
