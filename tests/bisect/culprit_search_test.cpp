// One culprit, trials that err never: right in every seed.
#include "bisect/culprit_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

#include "tests/bisect/made_history.h"

namespace samestep {
namespace {

using testing::conduct;
using testing::HistoryShape;
using testing::MadeHistory;
using testing::seeds;

Trial truth_of(const MadeHistory& made) {
  return [&made](const std::string& commit) { return made.truth(commit); };
}

struct Case {
  const char* name;
  HistoryShape shape;
  std::size_t workers = 1;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class EveryShape : public ::testing::TestWithParam<Case> {};

// Exactly what trials cannot tell apart is left, and one commit alone is accused only where it could be run.
TEST_P(EveryShape, IsRightInAThousandSeeds) {
  std::uint64_t trials = 0, untestable = 0, rounds = 0, most = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const MadeHistory made(GetParam().shape, seed);
    const std::vector<std::string> expected = made.indistinguishable();
    const BisectAnswer answer = conduct(made, truth_of(made), GetParam().workers);
    ASSERT_TRUE(answer.accused) << "seed " << seed << "\n" << answer;
    ASSERT_EQ(answer.accused->commits, expected) << "seed " << seed << "\n" << answer;
    const bool one = expected.size() == 1 && !made.broken(made.changers().front());
    ASSERT_EQ(answer.conclusion, one ? Conclusion::culprit : Conclusion::several) << "seed " << seed << "\n" << answer;
    // Never on one sample, of itself or of a parent.
    for (const std::string& line : answer.evidence) {
      ASSERT_TRUE(!one || line.find("1 of 1 trial") == std::string::npos) << "seed " << seed << "\n" << answer;
    }
    trials += answer.trials;
    untestable += answer.untestable;
    rounds += answer.rounds;
    most = std::max(most, answer.trials);
  }
  const double ideal = std::ceil(std::log2(static_cast<double>(GetParam().shape.commits)));
  std::cout << GetParam().name << ": " << double(trials) / seeds << " trials (at most " << most << "), of them "
            << double(untestable) / seeds << " untestable, in " << double(rounds) / seeds
            << " rounds; git bisect's ceil(log2 n) is " << ideal << " without the ends\n";
}

INSTANTIATE_TEST_SUITE_P(Shapes, EveryShape,
                         ::testing::Values(Case{"linear", {}}, Case{"merges", {.merges = 0.1}},
                                           Case{"broken", {.broken_ranges = 4}},
                                           Case{"everything", {.merges = 0.1, .broken_ranges = 4, .uncounted = 0.3}},
                                           Case{"three_workers", {.merges = 0.1, .broken_ranges = 2}, 3},
                                           Case{"fifteen_workers", {}, 15}),
                         [](const auto& shape) { return std::string(shape.param.name); });

}  // namespace
}  // namespace samestep
