// Verdicts on resumes, from runs in memory.
#include "replay/resume/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/compare/memory_run.h"

namespace samestep {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::MemoryRun;
using testing::spoil;

TakeUp at(std::uint64_t step) {
  TakeUp taken;
  taken.step = step;
  return taken;
}

// Steps [first, 20) whose `lane` differs from the start, with the chain of a whole run.
class Resumed : public MemoryRun {
 public:
  explicit Resumed(std::uint64_t first, std::optional<Lane> lane = std::nullopt) : MemoryRun(20 - first, first) {
    const MemoryRun before(first);
    Digest chain = before.chain(first - 1);
    for (StepRecord& record : records()) {
      if (lane && record.of(*lane).status == LaneStatus::captured) spoil(record, *lane, 0, table());
      record.root = root_digest(record);
      record.chain = chain = chain_digest(chain, record.root);
    }
  }
};

TEST(JudgeResume, SameCountsTheStepsOfTheResumeAlone) {
  const Verdict verdict = judge_resume(MemoryRun(20), MemoryRun(14), Resumed(9), at(9), "closed");
  EXPECT_EQ(verdict.outcome, Outcome::same) << verdict;
  EXPECT_EQ(verdict.steps_compared, 11U);
  EXPECT_EQ(verdict.last_same_step, 19U);
}

TEST(JudgeResume, NamesTheFirstLaneAndTensor) {
  const Verdict verdict = judge_resume(MemoryRun(20), MemoryRun(14), Resumed(9, Lane::gradients), at(9), "closed");
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
  EXPECT_EQ(verdict.cause, Cause::backward);
  EXPECT_EQ(verdict.step, 9U);
  EXPECT_EQ(verdict.last_same_step, 8U);
  EXPECT_EQ(verdict.tensor, "body.weight");
  EXPECT_EQ(verdict.steps_compared, 1U);
}

TEST(JudgeResume, AnOptimizerThatWasNotRestoredComesBeforeTheWeightsThatItMade) {
  TakeUp lost = at(9);
  lost.optimizer = OptimizerFit::lost;
  const Verdict verdict = judge_resume(MemoryRun(20), MemoryRun(14), Resumed(9, Lane::weights_out), lost, "closed");
  EXPECT_EQ(verdict.lane, Lane::optimizer);
  EXPECT_EQ(verdict.cause, Cause::update);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("weights_out of body.weight differs")));
  // What came before the update is no fault of the optimizer's.
  EXPECT_EQ(judge_resume(MemoryRun(20), MemoryRun(14), Resumed(9, Lane::batch), lost, "closed").lane, Lane::batch);
}

TEST(JudgeResume, StepsThatCannotBeToldApartAccuseNobody) {
  TakeUp several = at(9);
  several.ambiguous = true;
  EXPECT_EQ(judge_resume(MemoryRun(20), MemoryRun(14), Resumed(9, Lane::batch), several, "closed").outcome,
            Outcome::incomparable);
  EXPECT_EQ(judge_resume(MemoryRun(20), MemoryRun(14), Resumed(9), several, "closed").outcome, Outcome::same);
}

TEST(JudgeResume, AResumeThatBreaksOffIsIncomparableAndOneThatEndsEarlyDiverges) {
  const MemoryRun whole(24);
  EXPECT_EQ(judge_resume(whole, MemoryRun(14), Resumed(9), at(9), "killed by signal 11").outcome,
            Outcome::incomparable);
  const Verdict ended = judge_resume(whole, MemoryRun(14), Resumed(9), at(9), "closed");
  EXPECT_EQ(ended.outcome, Outcome::diverged);
  EXPECT_EQ(ended.cause, Cause::ended);
  EXPECT_EQ(ended.step, 20U);
}

TEST(JudgeRepetition, CallsTwoRunsThatDifferFlakyAndAShorterOneNot) {
  const MemoryRun whole(20);
  EXPECT_EQ(judge_repetition(whole, MemoryRun(14), "the killed run").outcome, Outcome::same);
  const MemoryRun other(14, 6, [](StepRecord& record, const Layout& layout) { spoil(record, Lane::loss, 0, layout); });
  const Verdict verdict = judge_repetition(whole, other, "the killed run");
  EXPECT_EQ(verdict.outcome, Outcome::flaky);
  EXPECT_EQ(verdict.cause, Cause::nondeterministic);
  EXPECT_EQ(verdict.step, 6U);
  EXPECT_THAT(verdict.evidence.front(), HasSubstr("does not repeat itself"));
}

TEST(JudgeUnknownWeights, NamesTheNearestStepAndTheFirstTensorThatIsNotItsOwn) {
  MemoryRun resumed(5, 9);
  spoil(resumed.records().front(), Lane::weights_in, 1, resumed.table());
  const Verdict verdict = judge_unknown_weights(MemoryRun(20), resumed, 14);
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
  EXPECT_EQ(verdict.cause, Cause::state_edited);
  EXPECT_EQ(verdict.lane, Lane::weights_in);
  EXPECT_EQ(verdict.step, 9U);
  EXPECT_EQ(verdict.tensor, "head.weight");
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("2 of its 3 tensors are those before step 9")));
}

TEST(JudgeUnknownWeights, NamesNoStepWhereNothingOfItIsKnownOrNoStepIsNearerThanAnother) {
  const Verdict strange = judge_unknown_weights(MemoryRun(20), MemoryRun(5, 9, 2), 14);
  EXPECT_EQ(strange.outcome, Outcome::diverged);
  EXPECT_EQ(strange.step, std::nullopt);
  const auto freeze = [](StepRecord& record, const Layout&) { record.of(Lane::weights_in).digests[0] = Digest{}; };
  MemoryRun whole(20, 0, freeze), resumed(5, 9, 2);
  freeze(resumed.records().front(), resumed.table());
  EXPECT_EQ(judge_unknown_weights(whole, resumed, 14).step, std::nullopt) << "a frozen layer is that of every step";
}

}  // namespace
}  // namespace samestep
