// How far trials can be trusted: what the search assumes of flaky ones, and what follows from it.
//
// Assumed: a trial that answers `same` or `diverged` is wrong with one unknown probability p < 1/2, whichever revision
// it is asked of, independently of every other trial; `flaky` and `untestable` say nothing about the revision. Before
// the first trial p is 0 with probability 0.5 (trials compare bits, and confirm a divergence themselves), else one of
// twelve values from 0.01 to 0.45, in proportion to its square. A `flaky` answer, or two answers that contradict each
// other, rules p = 0 out.
//
// What follows (noisy binary search with a posterior: Horstein, "Sequential transmission using noiseless feedback",
// IEEE Trans. Inform. Theory 9, 1963; Ben-Or and Hassidim, "The Bayesian learner is optimal for noisy binary search",
// FOCS 2008; as sequential test: Wald, "Sequential Analysis", 1947): a hypothesis under which `wrong` of `told` answers
// were wrong has likelihood E[p^wrong (1 - p)^(told - wrong)], the mean taken over the prior of p. Proven: the search
// accuses when what it names has a posterior of 1 - stop_risk, and a posterior does not depend on why trials were made
// or stopped; so, over programs whose p is drawn as above, fewer than 6 accusations in 1,000 are wrong. Measured, not
// proven: fewer than 1 in 100 at each single p up to 0.4 (tests/bisect/flaky_search_test.cpp, docs/bisect.md). Not
// covered: p >= 1/2, and trials that err together (a bad machine, a full disk).
#pragma once

#include <cstdint>
#include <vector>

namespace samestep {

// A wrong accusation is rarer than this.
inline constexpr double accusation_risk = 0.01;
inline constexpr double stop_risk = 0.005;

// How the answers about one revision fell in two. Which part is right is not known.
struct Split {
  std::uint64_t minority = 0;
  std::uint64_t majority = 0;
};

class Noise {
 public:
  // A trial was `flaky`: p is not 0.
  void see_flaky() { flaky_seen_ = true; }

  // Likelihoods for least, least + 1, ..., most wrong answers of `told`, relative to that of `least` (so the first is
  // 1, the others smaller). REQUIRES least <= most <= told. Plain products and sums of doubles in a fixed order: the
  // same bits everywhere.
  [[nodiscard]] std::vector<double> likelihoods(std::uint64_t least, std::uint64_t most, std::uint64_t told) const;

  // The mean of p where `wrong` of `told` answers were wrong. 0 before anything was told.
  [[nodiscard]] double error_rate(std::uint64_t wrong, std::uint64_t told) const;

  // How likely each rate of the prior is where revisions answered so, summing to 1: a revision that answered m times
  // one way and M times the other has likelihood (p^m (1 - p)^M + p^M (1 - p)^m) / 2. To take each minority for the
  // wrong answers would call a program that errs four times in ten a better one.
  [[nodiscard]] std::vector<double> rates_of(const std::vector<Split>& revisions) const;

  // The probability that the minority is right about one revision, under rates_of().
  [[nodiscard]] static double doubt(const Split& revision, const std::vector<double>& rate_weights);

 private:
  [[nodiscard]] std::vector<double> posterior(std::uint64_t wrong, std::uint64_t told) const;
  bool flaky_seen_ = false;
};

}  // namespace samestep
