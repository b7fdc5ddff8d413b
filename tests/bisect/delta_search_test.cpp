// Delta debugging on made problems: which of the items make it diverge is a function of the set.
#include "bisect/delta_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <random>

namespace samestep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TrialAnswer answer_of(TrialOutcome outcome) {
  TrialAnswer answer;
  answer.outcome = outcome;
  answer.steps_replayed = 3;
  if (outcome == TrialOutcome::diverged) answer.step = 12;
  if (outcome == TrialOutcome::untestable) answer.why = "it does not start";
  return answer;
}

TrialAnswer diverges_if(bool diverges) {
  return answer_of(diverges ? TrialOutcome::diverged : TrialOutcome::same);
}

bool has(const ItemSet& set, std::size_t item) {
  return std::ranges::binary_search(set, item);
}

std::uint64_t bits_of(const ItemSet& set) {
  std::uint64_t bits = 0;
  for (const std::size_t item : set) bits |= std::uint64_t{1} << item;
  return bits;
}

TEST(MinimalSet, OfOneCauseIsFoundInALogarithmOfTheItems) {
  for (const std::size_t cause : {0U, 41U, 99U}) {
    const DeltaAnswer answer = find_minimal_set(100, [&](const ItemSet& in) { return diverges_if(has(in, cause)); });
    EXPECT_EQ(answer.conclusion, DeltaConclusion::minimal);
    EXPECT_THAT(answer.set, ElementsAre(cause));
    ASSERT_TRUE(answer.divergence);
    EXPECT_EQ(answer.divergence->step, 12U);
    EXPECT_FALSE(answer.others_diverge);
    EXPECT_LE(answer.trials, 25U);
    EXPECT_EQ(answer.steps_replayed, 3 * answer.trials);
    EXPECT_LT(answer.wrong_accusation, 0.01);
  }
}

TEST(MinimalSet, HoldsItemsThatActTogetherOnly) {
  const DeltaAnswer answer =
      find_minimal_set(64, [](const ItemSet& in) { return diverges_if(has(in, 17) && has(in, 63)); });
  EXPECT_EQ(answer.conclusion, DeltaConclusion::minimal);
  EXPECT_THAT(answer.set, ElementsAre(17, 63));
}

TEST(MinimalSet, IsOneOfSeveralAndTheAnswerSaysSo) {
  const DeltaAnswer answer =
      find_minimal_set(8, [](const ItemSet& in) { return diverges_if(has(in, 2) || has(in, 6)); });
  EXPECT_EQ(answer.conclusion, DeltaConclusion::minimal);
  EXPECT_EQ(answer.set.size(), 1U);
  EXPECT_TRUE(answer.others_diverge);
}

TEST(MinimalSet, OfASingleItemNeedsNoSearchButProof) {
  const DeltaAnswer answer = find_minimal_set(1, [](const ItemSet& in) { return diverges_if(!in.empty()); });
  EXPECT_EQ(answer.conclusion, DeltaConclusion::minimal);
  EXPECT_THAT(answer.set, ElementsAre(0));
  ASSERT_EQ(answer.tried.size(), 2U);
  for (const TriedSet& each : answer.tried) {
    EXPECT_GE(each.tally.told(), 2U) << "accused on one sample";
    EXPECT_LE(each.tally.told(), 3U);
  }
}

// Whatever the function, monotone or not: the set diverges, and without any of its items it does not.
TEST(MinimalSet, IsMinimalWhateverTheItemsDoTogether) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 3000; ++i) {
    const std::size_t items = 1 + random() % 6;
    std::vector<TrialOutcome> outcome(std::size_t{1} << items);
    for (TrialOutcome& each : outcome) {
      const std::uint64_t drawn = random() % 5;
      each = drawn < 2 ? TrialOutcome::same : drawn < 4 ? TrialOutcome::diverged : TrialOutcome::untestable;
    }
    outcome.front() = TrialOutcome::same;
    outcome.back() = TrialOutcome::diverged;
    const DeltaAnswer answer =
        find_minimal_set(items, [&](const ItemSet& in) { return answer_of(outcome[bits_of(in)]); });
    ASSERT_EQ(outcome[bits_of(answer.set)], TrialOutcome::diverged);
    bool all_same = true;
    for (const std::size_t item : answer.set) {
      const TrialOutcome less = outcome[bits_of(answer.set) & ~(std::uint64_t{1} << item)];
      ASSERT_NE(less, TrialOutcome::diverged) << "it is not 1-minimal";
      all_same = all_same && less == TrialOutcome::same;
    }
    ASSERT_EQ(answer.conclusion, all_same ? DeltaConclusion::minimal : DeltaConclusion::open) << answer.why;
  }
}

TEST(MinimalSet, GoesAroundSetsThatCannotBeTried) {
  // Two halves of one package: it starts with both or with neither.
  const auto trial = [](const ItemSet& in) {
    if (has(in, 3) != has(in, 4)) return answer_of(TrialOutcome::untestable);
    return diverges_if(has(in, 3) && has(in, 9));
  };
  const DeltaAnswer answer = find_minimal_set(12, trial);
  EXPECT_EQ(answer.conclusion, DeltaConclusion::open);
  EXPECT_THAT(answer.set, ElementsAre(3, 4, 9));
  EXPECT_THAT(answer.why, HasSubstr("cannot be tried: it does not start"));
}

TEST(MinimalSet, IsNotLookedForWhereAnEndIsNotAsClaimed) {
  const DeltaAnswer same = find_minimal_set(9, [](const ItemSet&) { return diverges_if(false); });
  EXPECT_EQ(same.conclusion, DeltaConclusion::reproduces);
  EXPECT_GE(same.trials, 2U) << "concluded from one sample";
  const DeltaAnswer never = find_minimal_set(9, [](const ItemSet&) { return diverges_if(true); });
  EXPECT_EQ(never.conclusion, DeltaConclusion::not_restored);
  EXPECT_THAT(never.set, IsEmpty());
  ASSERT_TRUE(never.divergence);
  const DeltaAnswer flaky = find_minimal_set(9, [](const ItemSet&) { return answer_of(TrialOutcome::flaky); });
  EXPECT_EQ(flaky.conclusion, DeltaConclusion::flaky);
  const DeltaAnswer broken = find_minimal_set(9, [](const ItemSet&) { return answer_of(TrialOutcome::untestable); });
  EXPECT_EQ(broken.conclusion, DeltaConclusion::untestable);
  EXPECT_EQ(broken.trials, 1U);
  EXPECT_THAT(broken.why, HasSubstr("it does not start"));
}

TEST(MinimalSet, IsWhatIsKnownWhereTheTrialsEnd) {
  const DeltaAnswer answer = find_minimal_set(
      64, [](const ItemSet& in) { return diverges_if(has(in, 17) && has(in, 63)); }, 12);
  EXPECT_EQ(answer.conclusion, DeltaConclusion::open);
  EXPECT_EQ(answer.trials, 12U);
  EXPECT_TRUE(has(answer.set, 17) && has(answer.set, 63));
  EXPECT_THAT(answer.why, HasSubstr("limit of 12 trials"));
}

struct Case {
  double wrong;
  double flaky;
};

class ANoisyProgram : public ::testing::TestWithParam<Case> {};

TEST_P(ANoisyProgram, IsAccusedWronglyLessThanOnceInAHundred) {
  constexpr int seeds = 1000;
  std::uint64_t trials = 0;
  int wrong = 0, open = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed));
    const std::size_t one = random() % 20, two = random() % 20;
    std::uniform_real_distribution<double> drawn;
    const auto replay_diverges = [&](const ItemSet& in) {
      return (has(in, one) && has(in, two)) != (drawn(random) < GetParam().wrong);
    };
    const auto trial = [&](const ItemSet& in) {
      if (drawn(random) < GetParam().flaky) return answer_of(TrialOutcome::flaky);
      if (!replay_diverges(in)) return answer_of(TrialOutcome::same);
      return answer_of(replay_diverges(in) ? TrialOutcome::diverged : TrialOutcome::flaky);  // replayed once more
    };
    const DeltaAnswer answer = find_minimal_set(20, trial);
    trials += answer.trials;
    if (answer.conclusion != DeltaConclusion::minimal) {
      ++(answer.conclusion == DeltaConclusion::open || answer.conclusion == DeltaConclusion::flaky ? open : wrong);
      continue;
    }
    const ItemSet expected = one == two ? ItemSet{one} : ItemSet{std::min(one, two), std::max(one, two)};
    wrong += answer.set == expected ? 0 : 1;
  }
  std::cout << "p = " << GetParam().wrong << ", flaky " << GetParam().flaky << ": " << double(trials) / seeds
            << " trials, " << wrong << " wrong, " << open << " open\n";
  EXPECT_LT(wrong, seeds / 100);
  EXPECT_LE(open, seeds / 10);
}

INSTANTIATE_TEST_SUITE_P(Rates, ANoisyProgram,
                         ::testing::Values(Case{0, 0}, Case{0, 0.3}, Case{0.03, 0}, Case{0.1, 0}, Case{0.2, 0.1},
                                           Case{0.3, 0}));

}  // namespace
}  // namespace samestep
