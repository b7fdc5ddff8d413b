#include "bisect/step_search.h"

#include <gmock/gmock.h>

#include <set>

namespace samestep {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t last_step = 2000;

std::vector<std::uint64_t> anchors_every(std::uint64_t steps) {
  std::vector<std::uint64_t> starts;
  for (std::uint64_t start = 0; start < last_step; start += steps) starts.push_back(start);
  return starts;
}

// A revision that parts at the first of the window's steps that is in `differing`, or at or after `from_on`.
TrialAnswer replayed(std::uint64_t from, std::uint64_t to, const std::set<std::uint64_t>& differing,
                     std::uint64_t from_on) {
  TrialAnswer answer;
  answer.outcome = TrialOutcome::same;
  answer.steps_replayed = to - from;
  for (std::uint64_t step = from; step < to; ++step) {
    if (step < from_on && !differing.contains(step)) continue;
    answer.outcome = TrialOutcome::diverged;
    answer.step = step;
    answer.steps_replayed = 2 * (step - from + 1);  // a divergence is replayed twice
    break;
  }
  return answer;
}

TEST(StepSearch, FindsEveryFirstStepInFewWindows) {
  for (std::uint64_t first = 0; first < last_step; first += 7) {
    const FirstDivergence found =
        find_first_divergence(anchors_every(50), last_step,
                              [&](std::uint64_t from, std::uint64_t to) { return replayed(from, to, {}, first); });
    ASSERT_EQ(found.answer.step, first);
    EXPECT_EQ(found.assumption.empty(), first < 50) << found.assumption;
    EXPECT_LE(found.cost, 550u) << "first step " << first;
  }
}

TEST(StepSearch, SaysWhatItDidNotLookAt) {
  const FirstDivergence found = find_first_divergence(
      anchors_every(100), last_step, [](std::uint64_t from, std::uint64_t to) { return replayed(from, to, {}, 1234); });
  EXPECT_THAT(found.assumption, HasSubstr("the same in all steps before 1200"));
  EXPECT_THAT(found.assumption, HasSubstr("steps 1100 to 1199"));
}

TEST(StepSearch, ADifferenceThatPassesIsLookedForInTheWholeRun) {
  const FirstDivergence found =
      find_first_divergence(anchors_every(50), last_step,
                            [](std::uint64_t from, std::uint64_t to) { return replayed(from, to, {777}, last_step); });
  EXPECT_EQ(found.answer.step, 777u);
  EXPECT_THAT(found.assumption, IsEmpty());
}

TEST(StepSearch, ARevisionThatDiffersNowhereIsTheSame) {
  const FirstDivergence found =
      find_first_divergence(anchors_every(50), last_step,
                            [](std::uint64_t from, std::uint64_t to) { return replayed(from, to, {}, last_step); });
  EXPECT_EQ(found.answer.outcome, TrialOutcome::same);
}

TEST(StepSearch, WithoutAClearAnswerTheWholeRunDecides) {
  const FirstDivergence found =
      find_first_divergence(anchors_every(50), last_step, [](std::uint64_t from, std::uint64_t to) {
        TrialAnswer answer = replayed(from, to, {}, 900);
        if (from > 0 && from < 1900) answer.outcome = TrialOutcome::flaky;
        return answer;
      });
  EXPECT_EQ(found.answer.step, 900u);
  EXPECT_THAT(found.assumption, IsEmpty());
}

TEST(StepSearch, AStepBeforeTheWindowWasComputedFromTheStart) {
  // The script draws otherwise from step 300 on, so that it cannot be brought to a later anchor.
  const FirstDivergence found = find_first_divergence(
      anchors_every(50), last_step,
      [](std::uint64_t from, std::uint64_t to) { return replayed(to > 300 ? 0 : from, to, {}, 300); });
  EXPECT_EQ(found.answer.step, 300u);
}

}  // namespace
}  // namespace samestep
