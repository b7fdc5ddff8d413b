// Which of the steps that have a resume's weights it took up.
#include "replay/resume/take_up.h"

#include <gtest/gtest.h>

namespace samestep {
namespace {

const auto none_fits = [](std::uint64_t) { return false; };

TEST(TakeUp, IsTheLatestStepThatTheKilledRunReached) {
  const TakeUp taken = choose_step({40, 18, 17}, 20, none_fits);
  EXPECT_EQ(taken.step, 18U);
  EXPECT_TRUE(taken.ambiguous);
  EXPECT_FALSE(choose_step({18}, 20, none_fits).ambiguous);
}

TEST(TakeUp, IsTheOneWithTheOptimizersStateWhereTheWeightsStoodStill) {
  EXPECT_EQ(choose_step({18, 17, 16}, 20, [](std::uint64_t step) { return step == 17; }).step, 17U);
}

// A checkpoint from before, of a run that came further.
TEST(TakeUp, IsALaterStepOnlyWhereNoEarlierOneHasTheWeights) {
  EXPECT_EQ(choose_step({40, 30}, 20, none_fits).step, 30U);
}

TEST(TakeUp, IsNoStepWhereNoneHasTheWeights) {
  EXPECT_EQ(choose_step({}, 20, none_fits).step, std::nullopt);
}

}  // namespace
}  // namespace samestep
