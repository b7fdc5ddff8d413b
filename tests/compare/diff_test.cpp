// Two runs in, one verdict out.
#include "replay/compare/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/compare/memory_run.h"

namespace samestep {
namespace {

using samestep::testing::MemoryRun;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

Verdict judge(const MemoryRun& a, const MemoryRun& b, const std::string& ended_b = "closed") {
  return diff({a, "A"}, {b, "B", ended_b});
}

MemoryRun spoilt(std::uint64_t steps, std::uint64_t at, Lane lane, std::size_t index) {
  return MemoryRun(steps, at, [=](StepRecord& record, const Layout& layout) {
    if (record.of(lane).status == LaneStatus::captured) testing::spoil(record, lane, index, layout);
  });
}

struct LaneCase {
  Lane lane;
  std::size_t index;
  const char* tensor;
  Cause cause;
};

class EveryLane : public ::testing::TestWithParam<LaneCase> {};

TEST_P(EveryLane, IsNamedWithStepTensorAndClass) {
  const LaneCase& expected = GetParam();
  for (std::uint64_t at : {16, 32}) {  // steps that have the optimizer's state
    const Verdict verdict = judge(MemoryRun(50), spoilt(50, at, expected.lane, expected.index));
    EXPECT_EQ(verdict.outcome, Outcome::diverged);
    EXPECT_EQ(verdict.step, at);
    EXPECT_EQ(verdict.last_same_step, at - 1);
    EXPECT_EQ(verdict.lane, expected.lane);
    EXPECT_EQ(verdict.tensor, expected.tensor);
    EXPECT_EQ(verdict.cause, expected.cause);
    EXPECT_EQ(verdict.lanes[static_cast<std::size_t>(expected.lane)].outcome(), LaneOutcome::differs);
  }
}

INSTANTIATE_TEST_SUITE_P(Lanes, EveryLane,
                         ::testing::Values(LaneCase{Lane::weights_in, 2, "norm.mean", Cause::state_edited},
                                           LaneCase{Lane::rng, 0, "cpu", Cause::rng},
                                           LaneCase{Lane::batch, 1, "#1", Cause::batch},
                                           LaneCase{Lane::hyper, 1, "0.weight_decay", Cause::hyper},
                                           LaneCase{Lane::loss, 0, "#0", Cause::forward},
                                           LaneCase{Lane::gradients, 1, "head.weight", Cause::backward},
                                           LaneCase{Lane::optimizer, 0, "body.weight.exp_avg", Cause::update},
                                           LaneCase{Lane::weights_out, 1, "head.weight", Cause::update}),
                         [](const auto& lane_case) { return std::string(name(lane_case.param.lane)); });

TEST(DiffSearch, FindsEveryStepInALogarithmicNumberOfReads) {
  constexpr std::uint64_t steps = 1000;
  const MemoryRun a(steps);
  for (std::uint64_t at = 0; at < steps; at += 37) {
    const MemoryRun b = spoilt(steps, at, Lane::loss, 0);
    const std::uint64_t before = a.chain_reads();
    EXPECT_EQ(judge(a, b).step, at);
    EXPECT_LE(b.chain_reads(), 2 + 10) << at;  // log2(1000) < 10
    EXPECT_LE(a.chain_reads() - before, 2 + 10) << at;
    EXPECT_LE(b.record_reads(), 16) << at;
  }
}

TEST(DiffSearch, AChangeThatIsUndoneLaterIsStillFound) {
  MemoryRun b(100);
  testing::spoil(b.records()[40], Lane::batch, 0, b.table());
  b.seal();
  EXPECT_EQ(judge(MemoryRun(100), b).step, 40U);
}

TEST(Diff, EqualRunsAreTheSameOverAllSteps) {
  const Verdict verdict = judge(MemoryRun(50), MemoryRun(50));
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_EQ(verdict.steps_compared, 50U);
  EXPECT_EQ(verdict.last_same_step, 49U);
  EXPECT_FALSE(verdict.step);
  EXPECT_EQ(verdict.lanes[static_cast<std::size_t>(Lane::optimizer)].outcome(), LaneOutcome::equal);
  EXPECT_EQ(verdict.lanes[static_cast<std::size_t>(Lane::state)].outcome(), LaneOutcome::absent);
}

TEST(Diff, AnotherSeedPartsAtStepZeroAndIsAQuestionOfRng) {
  const Verdict verdict = judge(MemoryRun(20, 0, 1), MemoryRun(20, 0, 2));
  EXPECT_EQ(verdict.step, 0U);
  EXPECT_EQ(verdict.lane, Lane::weights_in);
  EXPECT_EQ(verdict.cause, Cause::rng);
  EXPECT_FALSE(verdict.last_same_step);
}

TEST(Diff, RunsWithoutStepsAreIncomparableAndSayWhy) {
  const Verdict verdict = judge(MemoryRun(20), MemoryRun(0), "lost");
  EXPECT_EQ(verdict.outcome, Outcome::incomparable);
  EXPECT_EQ(verdict.steps_compared, 0U);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("B holds no step (lost)")));
}

TEST(Diff, WindowsApartAreIncomparable) {
  const Verdict verdict = judge(MemoryRun(10), MemoryRun(10, 50));
  EXPECT_EQ(verdict.outcome, Outcome::incomparable);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("no step is in both")));
}

TEST(DiffLengths, AShorterRunThatWasKilledIsJudgedOnTheCommonSteps) {
  const Verdict verdict = judge(MemoryRun(50), MemoryRun(30), "killed by signal 9");
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_EQ(verdict.steps_compared, 30U);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("killed by signal 9")));
}

TEST(DiffLengths, AShorterRunThatClosedItselfDivergesWhereItEnded) {
  const Verdict verdict = judge(MemoryRun(50), MemoryRun(30));
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
  EXPECT_EQ(verdict.cause, Cause::ended);
  EXPECT_EQ(verdict.step, 30U);
  EXPECT_EQ(verdict.last_same_step, 29U);
}

TEST(DiffLengths, ADivergenceInTheCommonStepsComesFirst) {
  const Verdict verdict = judge(MemoryRun(50), spoilt(30, 20, Lane::loss, 0));
  EXPECT_EQ(verdict.cause, Cause::forward);
  EXPECT_EQ(verdict.step, 20U);
}

TEST(DiffWindows, ARunFromTheMiddleIsComparedStepByStep) {
  const Verdict verdict = judge(MemoryRun(50), MemoryRun(30, 20));
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_EQ(verdict.steps_compared, 30U);
  MemoryRun edited(30, 20);
  testing::spoil(edited.records()[5], Lane::gradients, 0, edited.table());
  edited.seal();
  EXPECT_EQ(judge(MemoryRun(50), edited).step, 25U);
}

TEST(DiffWindows, APartingAtTheFirstCommonStepMayBeEarlier) {
  MemoryRun edited(30, 20);
  testing::spoil(edited.records()[0], Lane::gradients, 0, edited.table());
  edited.seal();
  const Verdict verdict = judge(MemoryRun(50), edited);
  EXPECT_EQ(verdict.step, 20U);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("may have parted before")));
}

TEST(DiffNames, APureRenameIsTheSameAndIsListed) {
  MemoryRun b(20);
  for (Lane lane : {Lane::weights_in, Lane::weights_out, Lane::gradients}) b.table().of(lane)[1].name = "out.weight";
  const Verdict verdict = judge(MemoryRun(20), b);
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("head.weight is out.weight")));
}

TEST(DiffStructure, AnotherShapeIsAQuestionOfStructure) {
  MemoryRun b(20);
  for (Lane lane : {Lane::weights_in, Lane::weights_out, Lane::gradients}) b.table().of(lane)[1].shape = Shape{8};
  for (StepRecord& record : b.records()) {
    for (Lane lane : {Lane::weights_in, Lane::weights_out, Lane::gradients}) testing::refresh(record, lane, b.table());
  }
  b.seal();
  const Verdict verdict = judge(MemoryRun(20), b);
  EXPECT_EQ(verdict.cause, Cause::structure);
  EXPECT_EQ(verdict.step, 0U);
  EXPECT_EQ(verdict.tensor, "head.weight");
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("F32 [4] against F32 [8]")));
}

TEST(DiffStructure, AMissingParameterIsNamed) {
  MemoryRun b(20);
  for (Lane lane : {Lane::weights_in, Lane::weights_out}) b.table().of(lane).pop_back();
  for (StepRecord& record : b.records()) {
    for (Lane lane : {Lane::weights_in, Lane::weights_out}) {
      record.of(lane).presence.pop_back();
      record.of(lane).digests.pop_back();
      testing::refresh(record, lane, b.table());
    }
  }
  b.seal();
  const Verdict verdict = judge(MemoryRun(20), b);
  EXPECT_EQ(verdict.cause, Cause::structure);
  EXPECT_EQ(verdict.tensor, "norm.mean");
}

TEST(DiffStructure, AnotherOptimizerIsAQuestionOfStructure) {
  MemoryRun b = spoilt(20, 5, Lane::weights_out, 0);
  b.table().optimizers = {"SGD"};
  const Verdict verdict = judge(MemoryRun(20), b);
  EXPECT_EQ(verdict.cause, Cause::structure);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("(AdamW) against #0 (SGD)")));
}

TEST(DiffThinned, TheTensorIsUnknownAndTheNearestDetailedStepIsQuoted) {
  MemoryRun a(80);
  MemoryRun b = spoilt(80, 41, Lane::gradients, 1);
  for (MemoryRun* run : {&a, &b}) {
    for (StepRecord& record : run->records()) {
      if (record.step % 16 == 0) continue;
      for (Lane lane : all_lanes) record.of(lane).digests.clear();
    }
  }
  const Verdict verdict = judge(a, b);
  EXPECT_EQ(verdict.step, 41U);
  EXPECT_EQ(verdict.lane, Lane::gradients);
  EXPECT_EQ(verdict.tensor, "");
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("step 48 is the nearest later one")));
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("head.weight")));
}

MemoryRun scaled_gradients(std::uint64_t at, std::vector<std::size_t> which, double factor) {
  return MemoryRun(50, at, [=](StepRecord& record, const Layout& layout) {
    LaneRecord& gradients = record.of(Lane::gradients);
    for (std::size_t index : which) {
      testing::spoil(record, Lane::gradients, index, layout);
      if (gradients.summaries.empty()) continue;
      for (double& p : gradients.summaries[index].sketch.p) p *= factor;
      gradients.summaries[index].statistics.norm *= std::abs(factor);
    }
  });
}

TEST(DiffEvidence, ReversedGradientsAreCalledReversed) {
  const Verdict all = judge(MemoryRun(50), scaled_gradients(7, {0, 1}, -1));
  EXPECT_THAT(all.evidence, Contains(HasSubstr("all gradients are -1 times those of A: the direction")));
  const Verdict one = judge(MemoryRun(50), scaled_gradients(7, {1}, 0.25));
  EXPECT_THAT(one.evidence, Contains(HasSubstr("the gradient of head.weight is 0.25 times that of A")));
}

TEST(DiffEvidence, GradientsInAnotherDirectionAreNotCalledScaled) {
  const MemoryRun b(50, 7, [](StepRecord& record, const Layout& layout) {
    testing::spoil(record, Lane::gradients, 0, layout);
    if (!record.of(Lane::gradients).summaries.empty()) record.of(Lane::gradients).summaries[0].sketch.p[3] += 5;
  });
  EXPECT_THAT(judge(MemoryRun(50), b).evidence, Each(Not(HasSubstr(" times th"))));
}

TEST(DiffEvidence, SaysWhichSideWasEditedBetweenTwoSteps) {
  MemoryRun b(50);
  testing::spoil(b.records()[20], Lane::weights_in, 1, b.table());
  b.seal();
  const Verdict verdict = judge(MemoryRun(50), b);
  EXPECT_EQ(verdict.cause, Cause::state_edited);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("head.weight changed in B between the update of step 19")));
}

TEST(DiffEvidence, ADataOrderThatStartedOverIsRecognised) {
  MemoryRun b(50);
  b.records()[20].of(Lane::batch) = b.records()[0].of(Lane::batch);
  b.seal();
  EXPECT_THAT(judge(MemoryRun(50), b).evidence, Contains(HasSubstr("the order of the data started over")));
}

TEST(DiffEvidence, APermutedBatchIsCalledPermuted) {
  MemoryRun b(50);
  auto& batch = b.records()[20].of(Lane::batch);
  std::swap(batch.items[0], batch.items[1]);
  testing::refresh(b.records()[20], Lane::batch, b.table());
  b.seal();
  EXPECT_THAT(judge(MemoryRun(50), b).evidence, Contains(HasSubstr("the same 2 tensors in another order")));
}

TEST(DiffEvidence, TellsLossesDistanceAndCost) {
  const MemoryRun b(50, 10, [](StepRecord& record, const Layout& layout) {
    testing::spoil(record, Lane::loss, 0, layout);
    testing::spoil(record, Lane::weights_out, 0, layout);
    if (!record.of(Lane::weights_out).summaries.empty()) record.of(Lane::weights_out).summaries[0].sketch.p[0] += 4;
  });
  const Verdict verdict = judge(MemoryRun(50), b);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("loss 0.2727")));
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("weights after step 10: about 1.4 apart")));
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("A did 40 steps from there on in 40.0 s: 0.011 device-hours")));
}

TEST(DiffLanes, ALaneAbsentOnOneSideIsNoEvidenceAndIsSaid) {
  const MemoryRun b(20, 0, [](StepRecord& record, const Layout&) {
    record.of(Lane::batch) = LaneRecord{};
    record.of(Lane::batch).reason = AbsentReason::batch_not_given;
  });
  const Verdict verdict = judge(MemoryRun(20), b);
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_EQ(verdict.lanes[static_cast<std::size_t>(Lane::batch)].outcome(), LaneOutcome::absent);
  EXPECT_THAT(verdict.limits, Contains(HasSubstr("batch is absent")));
}

// A run whose program stops giving batches at some step read as `batch =`: the steps before spoke for all.
MemoryRun without_batch_from(std::uint64_t at) {
  return MemoryRun(40, at, [](StepRecord& record, const Layout&) {
    record.of(Lane::batch) = LaneRecord{};
    record.of(Lane::batch).reason = AbsentReason::batch_not_given;
  });
}

TEST(DiffLanes, ALaneThatOneSideStoppedCapturingIsOnlyPartlyCompared) {
  const Verdict verdict = judge(MemoryRun(40), without_batch_from(30));
  EXPECT_EQ(verdict.outcome, Outcome::same);
  const LaneTally& batch = verdict.lanes[static_cast<std::size_t>(Lane::batch)];
  EXPECT_EQ(batch.outcome(), LaneOutcome::partly);
  EXPECT_EQ(batch.compared(), 30U);
  EXPECT_EQ(batch.one_sided, 10U);
  EXPECT_THAT(verdict.limits, Contains("the lane batch was compared at 30 steps; at 10 steps only one side has it"));
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("has no batch at 10 steps where the other side has one")));
}

// Nearly every Python program keeps no state, and was told of session.keep.
TEST(DiffLanes, StateThatHoldsNothingIsNotSpokenOf) {
  const auto read = [](StepRecord& record, const Layout& layout) {
    if (record.step == 0) record.of(Lane::state).status = LaneStatus::captured;
    if (record.step == 0) testing::refresh(record, Lane::state, layout);
  };
  const Verdict verdict = judge(MemoryRun(40, 0, read), MemoryRun(40, 0, read));
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_EQ(verdict.lanes[static_cast<std::size_t>(Lane::state)].outcome(), LaneOutcome::absent);
  EXPECT_THAT(verdict.limits, Not(Contains(HasSubstr("state"))));
}

TEST(DiffLanes, ALaneThatOneSideLacksAtTheDivergenceIsPartlyCompared) {
  MemoryRun b = without_batch_from(30);
  for (StepRecord& record : b.records()) {
    if (record.step >= 30) testing::spoil(record, Lane::loss, 0, b.table());
  }
  b.seal();
  const Verdict verdict = judge(MemoryRun(40), b);
  EXPECT_EQ(verdict.step, 30U);
  EXPECT_EQ(verdict.lane, Lane::loss);
  EXPECT_EQ(verdict.lanes[static_cast<std::size_t>(Lane::batch)].outcome(), LaneOutcome::partly);
}

TEST(DiffLanes, AnOptimizerReadBesidesItsScheduleOnOneSideIsNothingMissed) {
  MemoryRun b(40);
  b.records()[20].of(Lane::optimizer) = b.records()[16].of(Lane::optimizer);  // a segment's first step, an anchor
  b.seal();
  const Verdict verdict = judge(MemoryRun(40), b);
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_EQ(verdict.lanes[static_cast<std::size_t>(Lane::optimizer)].outcome(), LaneOutcome::equal);
}

TEST(DiffLanes, WhereNoLaneIsOnBothSidesNothingIsTheSame) {
  const MemoryRun b(20, 0, [](StepRecord& record, const Layout&) {
    for (Lane lane : all_lanes) record.of(lane) = LaneRecord{};
  });
  EXPECT_EQ(judge(MemoryRun(20), b).outcome, Outcome::incomparable);
}

TEST(DiffLanes, NamedStateIsComparedAlthoughNoRootCoversIt) {
  const auto with_state = [](const char* cursor) {
    MemoryRun run(20);
    run.table().of(Lane::state) = {{"cursor", DType::i64, Shape{}}};
    LaneRecord& state = run.records()[19].of(Lane::state);
    state.status = LaneStatus::captured;
    state.presence = {Presence::present};
    state.digests = {digest(cursor)};
    testing::refresh(run.records()[19], Lane::state, run.table());
    run.seal();
    return run;
  };
  EXPECT_THAT(judge(with_state("7"), with_state("7")).limits, Contains(HasSubstr("was compared at 1 step only")));
  EXPECT_EQ(judge(with_state("7"), with_state("7")).outcome, Outcome::same);
  const Verdict verdict = judge(with_state("7"), with_state("8"));
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
  EXPECT_EQ(verdict.lane, Lane::state);
  EXPECT_EQ(verdict.tensor, "cursor");
}

// A program that keeps one value more has changed nothing of its training.
TEST(Diff, OfRunsThatKeepOtherNamesIsNoDivergence) {
  const auto keeping = [](const std::vector<std::string>& names) {
    MemoryRun run(20);
    LaneRecord& state = run.records()[19].of(Lane::state);
    state.status = LaneStatus::captured;
    for (const std::string& kept : names) {
      run.table().of(Lane::state).push_back({kept, DType::i64, Shape{}});
      state.presence.push_back(Presence::present);
      state.digests.push_back(digest(kept));
    }
    testing::refresh(run.records()[19], Lane::state, run.table());
    return run;
  };
  const Verdict verdict = judge(keeping({"cursor"}), keeping({"best", "cursor"}));
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_THAT(verdict.limits, Contains(HasSubstr("state is absent in one run")));
}

}  // namespace
}  // namespace samestep
