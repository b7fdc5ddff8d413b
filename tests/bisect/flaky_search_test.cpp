// Trials that answer wrongly: at most one accusation in a hundred is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "tests/bisect/made_history.h"

namespace samestep {
namespace {

using testing::conduct;
using testing::FlakyTrials;
using testing::HistoryShape;
using testing::MadeHistory;
using testing::seeds;

struct Case {
  double wrong;
  double flaky;
  std::uint64_t at_most;  // trials in the mean
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << "wrong " << c.wrong << ", flaky " << c.flaky;
}

class EveryRate : public ::testing::TestWithParam<Case> {};

TEST_P(EveryRate, AccusesWronglyLessThanOnceInAHundred) {
  const HistoryShape shape{.commits = 1000, .merges = 0.05, .broken_ranges = 1};
  std::uint64_t trials = 0, wrong = 0, open = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const MadeHistory made(shape, seed);
    FlakyTrials flaky(made, seed, GetParam().wrong, GetParam().flaky);
    const BisectAnswer answer = conduct(made, [&](const std::string& commit) { return flaky(commit); });
    const std::vector<std::string> expected = made.indistinguishable();
    trials += answer.trials;
    if (!answer.accused) {
      ++wrong;  // an end was called wrong
      continue;
    }
    if (answer.accused->commits != expected) {
      const bool holds = std::includes(answer.accused->commits.begin(), answer.accused->commits.end(), expected.begin(),
                                       expected.end());
      ++(holds ? open : wrong);
    }
  }
  std::cout << "p = " << GetParam().wrong << ", flaky " << GetParam().flaky << ": " << double(trials) / seeds
            << " trials, " << wrong << " wrong, " << open << " left more open than needed\n";
  EXPECT_LT(wrong, seeds / 100);
  EXPECT_EQ(open, 0);
  EXPECT_LT(trials / seeds, GetParam().at_most);
}

INSTANTIATE_TEST_SUITE_P(Rates, EveryRate,
                         ::testing::Values(Case{0, 0, 21}, Case{0, 0.3, 45}, Case{0.03, 0, 30}, Case{0.1, 0, 50},
                                           Case{0.2, 0.1, 95}, Case{0.3, 0, 175}, Case{0.4, 0, 620}));

}  // namespace
}  // namespace samestep
