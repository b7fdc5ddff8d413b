// From findings to a verdict, without processes: what anchors, warm-up and further replays add.
#include "replay/player/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/compare/memory_run.h"

namespace samestep {
namespace {

using samestep::testing::MemoryRun;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

Plan plan_from(std::uint64_t anchor, std::uint64_t from, std::uint64_t to) {
  Plan plan;
  plan.from = from;
  plan.to = to;
  plan.first_step = anchor;
  plan.anchor.emplace();
  plan.anchor->step = anchor;
  return plan;
}

// A session that sends `program`'s steps of the plan, through the watch itself.
Pass play(const MemoryRun& recording, const MemoryRun& program, const Plan& plan) {
  Watch watch(recording, plan, Descriptor(), {});
  Client client;
  (void)watch.on_hello(client);
  watch.on_layout(client, program.layout(0));
  for (std::uint64_t step = plan.first_step; step < plan.to; ++step) {
    if (watch.on_step(client, program.record(step)).answer == protocol::Ack::Answer::stop) break;
  }
  watch.on_end(client, {"closed", true, 0});
  return {watch.take_findings(), {}, {}};
}

MemoryRun spoilt_at(std::uint64_t at, Lane lane, std::uint64_t variant = 0) {
  MemoryRun run(40);
  for (std::uint64_t i = 0; i <= variant; ++i) {
    auto& record = run.records()[at];
    record.of(lane).items.empty()
        ? (void)(record.of(lane).digests[0].bytes[0] ^= static_cast<std::uint8_t>(1 + i))
        : (void)(record.of(lane).items[0].digest.bytes[0] ^= static_cast<std::uint8_t>(1 + i));
    testing::refresh(record, lane, run.table());
  }
  run.seal();
  return run;
}

TEST(Judge, ABatchThatPartsRightAtTheAnchorAsksForAKeptCursor) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 20, 30);
  const Verdict verdict = judge(recording, plan, play(recording, spoilt_at(20, Lane::batch), plan));
  EXPECT_EQ(verdict.cause, Cause::batch);
  EXPECT_EQ(verdict.step, 20U);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("session.keep(\"cursor\", ...)")));
}

TEST(Judge, ABatchThatPartsLaterDoesNot) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 20, 30);
  const Verdict verdict = judge(recording, plan, play(recording, spoilt_at(25, Lane::batch), plan));
  EXPECT_EQ(verdict.step, 25U);
  EXPECT_THAT(verdict.evidence, Each(Not(HasSubstr("session.keep"))));
}

TEST(Judge, CountsAskedStepsAndNamesTheWarmUp) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 24, 30);
  const Verdict verdict = judge(recording, plan, play(recording, recording, plan));
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_EQ(verdict.steps_compared, 6U);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("4 warm-up steps")));
}

TEST(Judge, ADivergenceInTheWarmUpIsToldAsOne) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 24, 30);
  const Verdict verdict = judge(recording, plan, play(recording, spoilt_at(22, Lane::loss), plan));
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
  EXPECT_EQ(verdict.step, 22U);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("in the warm-up")));
}

TEST(Judge, AnEditOfWeightsInTheWindowOnlyIsFoundAlthoughChainsBeganInTheMiddle) {
  const MemoryRun recording(20, 20);  // begins at step 20 with a chain of its own
  const Plan plan = plan_from(22, 22, 40);
  MemoryRun program(40);
  EXPECT_EQ(judge(recording, plan, play(recording, program, plan)).outcome, Outcome::same);
}

// Steps that a program once gave its batches for spoke for those where it no longer did.
TEST(Judge, ALaneThatTheProgramNoLongerCapturesIsOnlyPartlyCompared) {
  const MemoryRun recording(40);
  const MemoryRun program(40, 24, [](StepRecord& record, const Layout&) {
    record.of(Lane::batch) = LaneRecord{};
    record.of(Lane::batch).reason = AbsentReason::batch_not_given;
  });
  const Plan plan = plan_from(20, 20, 30);
  const Verdict verdict = judge(recording, plan, play(recording, program, plan));
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_EQ(verdict.lanes[static_cast<std::size_t>(Lane::batch)].outcome(), LaneOutcome::partly);
  EXPECT_EQ(verdict.lanes[static_cast<std::size_t>(Lane::loss)].outcome(), LaneOutcome::equal);
  EXPECT_THAT(verdict.limits, Contains("the lane batch was compared at 4 steps; at 6 steps only one side has it"));
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("the replay has no batch at 6 steps where the other side has one: "
                                                   "usually the model was called in evaluation mode")));
}

TEST(Confirm, TwoReplaysThatAgreeLeaveItDiverged) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 20, 30);
  const Pass pass = play(recording, spoilt_at(25, Lane::loss), plan);
  Verdict verdict = judge(recording, plan, pass);
  confirm(verdict, plan, pass, play(recording, spoilt_at(25, Lane::loss), plan));
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
}

TEST(Confirm, TwoReplaysThatDifferAreFlakyAtTheirFirstDifference) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 20, 30);
  const Pass pass = play(recording, spoilt_at(25, Lane::loss), plan);
  Verdict verdict = judge(recording, plan, pass);
  confirm(verdict, plan, pass, play(recording, spoilt_at(25, Lane::loss, 1), plan));
  EXPECT_EQ(verdict.outcome, Outcome::flaky);
  EXPECT_EQ(verdict.cause, Cause::nondeterministic);
  EXPECT_THAT(verdict.evidence.front(), HasSubstr("differ from each other at step 25"));
}

TEST(Confirm, ASecondReplayThatReproducesTheRecordingMakesItAOneOff) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 20, 30);
  const Pass pass = play(recording, spoilt_at(25, Lane::loss), plan);
  Verdict verdict = judge(recording, plan, pass);
  confirm(verdict, plan, pass, play(recording, recording, plan));
  EXPECT_EQ(verdict.outcome, Outcome::flaky);
  EXPECT_THAT(verdict.evidence.front(), HasSubstr("one-off"));
}

// It was said to have given the recorded bits "at every step" however far it came.
TEST(Confirm, ASecondReplayThatDiesBehindTheStepIsToldAsFarAsItCame) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 20, 30);
  const Pass pass = play(recording, spoilt_at(25, Lane::loss), plan);
  Verdict verdict = judge(recording, plan, pass);
  Plan shorter = plan;
  shorter.to = 27;
  confirm(verdict, plan, pass, play(recording, recording, shorter));
  EXPECT_EQ(verdict.outcome, Outcome::flaky);
  EXPECT_THAT(verdict.evidence, Each(Not(HasSubstr("at every step"))));
  EXPECT_THAT(verdict.evidence.front(), HasSubstr("it ended before step 27 of 20 to 29"));
  EXPECT_THAT(verdict.limits, Contains(HasSubstr("did not come to the window's end")));
}

TEST(Confirm, ASecondReplayThatDiesBeforeTheStepProvesNothing) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 20, 30);
  const Pass pass = play(recording, spoilt_at(25, Lane::loss), plan);
  Verdict verdict = judge(recording, plan, pass);
  Plan shorter = plan;
  shorter.to = 23;
  confirm(verdict, plan, pass, play(recording, recording, shorter));
  EXPECT_EQ(verdict.outcome, Outcome::incomparable);
}

TEST(Watch, AsksForTheTensorsOfTheStepThatParts) {
  const MemoryRun recording(40);
  const MemoryRun program = spoilt_at(25, Lane::loss);
  const Plan plan = plan_from(20, 20, 30);
  Watch watch(recording, plan, Descriptor(), {});
  Client client;
  (void)watch.on_hello(client);
  watch.on_layout(client, program.layout(0));
  using Answer = protocol::Ack::Answer;
  for (std::uint64_t step = 20; step < 25; ++step) {
    EXPECT_EQ(watch.on_step(client, program.record(step)).answer, Answer::go_on);
  }
  EXPECT_EQ(watch.on_step(client, program.record(25)).answer, Answer::dump);
  EXPECT_EQ(watch.on_step(client, program.record(26)).answer, Answer::stop);
}

TEST(Watch, ReadsOnlyChainsWhileAllAgrees) {
  const MemoryRun recording(40);
  Plan plan = plan_from(17, 17, 31);  // no step divisible by 16, where lanes outside the root stand
  (void)play(recording, recording, plan);
  EXPECT_EQ(recording.record_reads(), 14U);  // those that `play` itself asked for as the program
}

TEST(Watch, TellsHowFarItIs) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 24, 30);
  std::string told;
  WatchOptions options;
  options.progress = [&](const std::string& text) { told = text; };
  Watch watch(recording, plan, Descriptor(), options);
  Client client;
  (void)watch.on_hello(client);
  watch.on_layout(client, recording.layout(0));
  (void)watch.on_step(client, recording.record(20));
  watch.on_tick();
  EXPECT_EQ(told, "replaying step 21 of 24 to 29, from the anchor at step 20");
}

TEST(Watch, AsksForOneMoreStepWhereTheRecordingEndedByItself) {
  const MemoryRun recording(40), program(43);
  Plan plan = plan_from(30, 30, 40);
  EXPECT_FALSE(play(recording, program, plan).findings.goes_on);
  plan.ends_there = true;
  Watch watch(recording, plan, Descriptor(), {});
  Client client;
  EXPECT_EQ(watch.on_hello(client).welcome.to, 41U);
  watch.on_layout(client, program.layout(0));
  for (std::uint64_t step = 30; step < 40; ++step)
    EXPECT_EQ(watch.on_step(client, program.record(step)).answer, protocol::Ack::Answer::go_on) << step;
  EXPECT_EQ(watch.on_step(client, program.record(40)).answer, protocol::Ack::Answer::stop);
  EXPECT_TRUE(watch.take_findings().goes_on);
}

TEST(Judge, SaysWhereAProgramWasEndedBeforeItsEndWasSeen) {
  const MemoryRun recording(40);
  Plan plan = plan_from(30, 30, 40);
  plan.ends_there = true;
  Pass pass = play(recording, recording, plan);
  EXPECT_THAT(judge(recording, plan, pass).limits, Each(Not(HasSubstr("no step follows"))));
  pass.findings.end->said_bye = false;
  EXPECT_EQ(judge(recording, plan, pass).outcome, Outcome::same);
  EXPECT_THAT(judge(recording, plan, pass).limits, Contains(HasSubstr("no step follows on step 39")));
}

TEST(Watch, LosesPatienceWithAProgramThatIsSilentOnItsWayToTheAnchor) {
  const MemoryRun recording(40);
  Plan plan = plan_from(20, 20, 30);
  plan.fast_forward = true;
  for (const auto patience : {std::chrono::nanoseconds(0), std::chrono::nanoseconds(1)}) {
    WatchOptions options;
    options.patience = patience;
    Watch watch(recording, plan, Descriptor(::dup(0)), options);
    EXPECT_FALSE(watch.is_over()) << "it has not come";
    Client client;
    (void)watch.on_hello(client);
    ::usleep(1000);
    EXPECT_EQ(watch.is_over(), patience.count() == 1) << "0: without end";
    watch.on_layout(client, recording.layout(0));
    (void)watch.on_step(client, recording.record(20));
    EXPECT_FALSE(watch.is_over()) << "it is there, and computes";
  }
}

// Other processes of the program may wait for this one, for ever. Nothing was computed, so nothing is called.
TEST(Watch, IsOverWhereAProgramPartsOnItsWayToTheAnchor) {
  const MemoryRun recording(40), program = spoilt_at(3, Lane::rng);
  Plan plan = plan_from(20, 20, 30);
  plan.fast_forward = true;
  Watch watch(recording, plan, Descriptor(::dup(0)), {});
  Client client;
  (void)watch.on_hello(client);
  watch.on_layout(client, program.layout(0));
  for (std::uint64_t step = 0; step < 3; ++step)
    EXPECT_EQ(watch.on_step(client, program.record(step)).answer, protocol::Ack::Answer::go_on);
  EXPECT_EQ(watch.on_step(client, program.record(3)).answer, protocol::Ack::Answer::stop);
  EXPECT_FALSE(watch.is_over()) << "it says goodbye";
  watch.on_end(client, {"closed", true, 0});
  EXPECT_TRUE(watch.is_over());
  const Verdict verdict = judge(recording, plan, {watch.take_findings(), {}, {}});
  EXPECT_EQ(verdict.outcome, Outcome::incomparable);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("parted at step 3 in rng")));
}

TEST(Watch, FollowsOneSessionOnly) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 20, 30);
  Watch watch(recording, plan, Descriptor(), {});
  Client first, second;
  second.number = 1;
  EXPECT_EQ(watch.on_hello(first).welcome.mode, protocol::Mode::replay);
  EXPECT_EQ(watch.on_hello(second).welcome.mode, protocol::Mode::off);
}

// As a recording numbers those that call themselves by one rank.
TEST(Watch, FollowsTheNextFreeRankOfTwoThatSayTheSame) {
  const MemoryRun recording(40);
  const Plan plan = plan_from(20, 20, 30);
  WatchOptions options;
  options.rank = 1;
  Watch watch(recording, plan, Descriptor(), options);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  Client first, second, third;
  first.pid = child;
  second.number = 1;
  second.pid = ::getppid();
  third.number = 2;
  third.pid = ::getpid();
  EXPECT_EQ(watch.on_hello(first).welcome.mode, protocol::Mode::off);
  EXPECT_EQ(watch.on_hello(second).welcome.mode, protocol::Mode::off) << "the first has gone: it is rank 0 again";
  const protocol::Welcome welcome = watch.on_hello(third).welcome;
  EXPECT_EQ(welcome.mode, protocol::Mode::replay);
  EXPECT_EQ(welcome.rank, 1U);
}

}  // namespace
}  // namespace samestep
