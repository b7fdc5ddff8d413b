// How likely each commit is to be the culprit: a posterior over "this commit made the change, so it and every commit
// that contains it diverge and no other does", one hypothesis a candidate, and two more: even the good revision
// diverges, even the bad one does not.
#pragma once

#include <cstdint>
#include <vector>

#include "bisect/history.h"
#include "bisect/noise.h"

namespace samestep {

class Beliefs {
 public:
  // Candidates are equally likely before any trial. REQUIRES at least one.
  explicit Beliefs(const History::Marks& candidates);

  // More answers about one tree. `some` marks the commits that one revision with that tree contains, `every` those that
  // all of them contain: a hypothesis that parts revisions with equal trees contradicts either answer.
  void hear(std::uint32_t same, std::uint32_t diverged, const History::Marks& some, const History::Marks& every);
  // After all was heard: makes what follows known.
  void weigh(const Noise& noise);

  // Of each commit, 0 where it is no candidate. They and before() and after() sum to 1.
  [[nodiscard]] const std::vector<double>& probability() const { return probability_; }
  [[nodiscard]] double before() const { return before_.probability; }  // even the good revision diverges
  [[nodiscard]] double after() const { return after_.probability; }    // even the bad revision does not
  // The likeliest hypotheses, as few as hold all but stop_risk of the probability; equal ones together.
  [[nodiscard]] const History::Marks& suspects() const { return suspects_; }
  [[nodiscard]] std::size_t suspected() const { return suspected_; }  // how many commits
  [[nodiscard]] std::size_t likeliest() const { return likeliest_; }  // how many commits are the very likeliest
  [[nodiscard]] History::Marks likeliest_marks() const;               // they themselves
  [[nodiscard]] bool before_suspected() const { return before_.suspected; }
  [[nodiscard]] bool after_suspected() const { return after_.suspected; }
  [[nodiscard]] double suspicion() const { return suspicion_; }  // the probability they hold
  // Answers that are wrong under the likeliest hypothesis, and all answers.
  [[nodiscard]] std::uint64_t least_wrong() const { return least_; }
  [[nodiscard]] std::uint64_t told() const { return told_; }

 private:
  struct End {
    std::uint32_t wrong = 0;
    double probability = 0;
    bool suspected = false;
  };
  void suspect(const std::vector<double>& likelihoods, const std::vector<std::size_t>& count);

  std::vector<History::Index> candidates_;
  std::vector<std::uint32_t> wrong_;  // answers, by place in candidates_
  End before_, after_;
  std::uint64_t told_ = 0;
  std::uint64_t least_ = 0;
  std::vector<double> probability_;
  History::Marks suspects_;
  std::size_t suspected_ = 0;
  std::size_t likeliest_ = 0;
  double suspicion_ = 0;
};

}  // namespace samestep
