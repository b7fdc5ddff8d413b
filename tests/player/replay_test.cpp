// Whole replays: a written run, a real process that speaks frames, a verdict.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "replay/player/player.h"
#include "replay/run/error.h"
#include "tests/compare/memory_run.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::WrittenRun;

class Replay : public ::testing::Test {
 protected:
  ReplayOptions options() {
    ReplayOptions options;
    options.run = folder_ / "run";
    options.save = folder_ / "replay";
    options.in_place = !testing::view_refusal().empty();
    options.say = [this](const std::string& line) { said_ += line + "\n"; };
    return options;
  }
  // Records with `recorded` words and replays that command, or another if `words` are given.
  ReplayAnswer replay_of(const std::vector<std::string>& words, WrittenRun run = {}) {
    run.argv = {SAMESTEP_FRAMES_TRAINER};
    run.argv.insert(run.argv.end(), words.begin(), words.end());
    testing::write(run, folder_ / "run");
    return replay(options());
  }

  testing::Folder folder_;
  std::string said_;
};

TEST_F(Replay, OfTheSameProgramIsTheSame) {
  const ReplayAnswer answer = replay_of({});
  EXPECT_EQ(answer.verdict.outcome, Outcome::same) << answer.verdict;
  EXPECT_EQ(answer.verdict.steps_compared, 40U);
  EXPECT_EQ(answer.verdict.last_same_step, 39U);
  EXPECT_EQ(exit_code(answer), 0);
  EXPECT_THAT(said_, HasSubstr("replaying " SAMESTEP_FRAMES_TRAINER));
}

// Another of its processes may wait for ever for the one that was told to stop.
TEST_F(Replay, OfAProgramThatDoesNotEndAfterItsSessionIsNotWaitedFor) {
  const ReplayAnswer answer = replay_of({"--linger", "40"});
  EXPECT_EQ(answer.verdict.outcome, Outcome::same) << answer.verdict;
  std::ostringstream output;
  output << std::ifstream(folder_ / "replay/output.txt").rdbuf();
  EXPECT_EQ(output.str(), "frames_trainer begins\n");
}

TEST_F(Replay, KeepsTheProgramsOutputAndTheVerdict) {
  (void)replay_of({});
  std::ifstream output(folder_ / "replay/output.txt");
  std::string line;
  std::getline(output, line);
  EXPECT_EQ(line, "frames_trainer begins");
  std::ifstream verdict(folder_ / "replay/verdict.json");
  EXPECT_EQ(nlohmann::json::parse(verdict)["verdict"], "same");
}

TEST_F(Replay, OfAWindowComparesThatWindow) {
  WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER};
  testing::write(run, folder_ / "run");
  ReplayOptions window = options();
  window.from = 10;
  window.to = 20;
  const ReplayAnswer answer = replay(window);
  EXPECT_EQ(answer.verdict.outcome, Outcome::same);
  EXPECT_EQ(answer.verdict.steps_compared, 10U);  // steps 0 to 9 are warm-up: there is no anchor
}

class ReplayOfAnEdit : public Replay, public ::testing::WithParamInterface<Lane> {};

TEST_P(ReplayOfAnEdit, NamesStepLaneAndClassAndWasReplayedTwice) {
  const Lane lane = GetParam();
  const ReplayAnswer answer = replay_of({"--edit", std::string(name(lane)) + ":16"});
  EXPECT_EQ(answer.verdict.outcome, Outcome::diverged) << answer.verdict;
  EXPECT_EQ(answer.verdict.step, 16U);
  EXPECT_EQ(answer.verdict.last_same_step, 15U);
  EXPECT_EQ(answer.verdict.lane, lane);
  EXPECT_NE(answer.verdict.tensor, "");
  EXPECT_EQ(exit_code(answer), 1);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("a second replay of the same window gave the same bits")));
  EXPECT_THAT(answer.verdict.reproduce, HasSubstr("--from 16 --to 17"));
}

INSTANTIATE_TEST_SUITE_P(Lanes, ReplayOfAnEdit,
                         ::testing::Values(Lane::weights_in, Lane::rng, Lane::batch, Lane::hyper, Lane::loss,
                                           Lane::gradients, Lane::optimizer, Lane::weights_out),
                         [](const auto& lane_case) { return std::string(name(lane_case.param)); });

TEST_F(Replay, OfANoisyProgramIsFlaky) {
  const ReplayAnswer answer = replay_of({"--noise", "7"});
  EXPECT_EQ(answer.verdict.outcome, Outcome::flaky) << answer.verdict;
  EXPECT_EQ(answer.verdict.cause, Cause::nondeterministic);
  EXPECT_EQ(answer.verdict.step, 7U);
  EXPECT_EQ(exit_code(answer), 3);
  EXPECT_THAT(answer.verdict.evidence,
              Contains(HasSubstr("two replays of the same window differ from each other at step 7")));
}

TEST_F(Replay, OfACorruptionThatDoesNotComeBackIsAOneOff) {
  const auto flag = folder_ / "corrupt";
  std::ofstream(flag) << "now";
  WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER, "--once", flag.string() + ":9"};
  testing::write(run, folder_ / "run");
  ReplayOptions in_place = options();  // the program uses the file up
  in_place.in_place = true;
  const ReplayAnswer answer = replay(in_place);
  EXPECT_EQ(answer.verdict.outcome, Outcome::flaky) << answer.verdict;
  EXPECT_EQ(answer.verdict.step, 9U);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("one-off")));
}

TEST_F(Replay, UnderOtherThreadsIsIncomparableAndStillNamesTheStep) {
  WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER, "--edit", "gradients:5", "--threads", "1"};
  testing::write(run, folder_ / "run");
  const ReplayAnswer answer = replay(options());
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable) << answer.verdict;
  EXPECT_EQ(answer.verdict.step, 5U);
  EXPECT_EQ(answer.verdict.lane, Lane::gradients);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("threads.intra: 2 against 1")));
  ReplayOptions ignoring = options();
  ignoring.save = folder_ / "again";
  ignoring.ignore_environment = true;
  EXPECT_EQ(replay(ignoring).verdict.outcome, Outcome::diverged);
}

TEST_F(Replay, UnderOtherThreadsWithEqualBitsIsTheSameInSpiteOfIt) {
  const ReplayAnswer answer = replay_of({"--threads", "1"});
  EXPECT_EQ(answer.verdict.outcome, Outcome::same);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("in spite of threads.intra")));
}

TEST_F(Replay, OfAProgramThatNeverConnectsIsIncomparable) {
  const ReplayAnswer answer = replay_of({"--silent"});
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable);
  EXPECT_EQ(answer.verdict.steps_compared, 0U);
  EXPECT_EQ(exit_code(answer), 3);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("no session connected")));
}

TEST_F(Replay, OfAProgramThatFailsAtOnceIsUntestableAndShowsItsOutput) {
  const ReplayAnswer answer = replay_of({"--exit", "3"});
  EXPECT_EQ(exit_code(answer), 125);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("exited with code 3")));
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("frames_trainer begins")));
}

TEST_F(Replay, OfAProgramThatIsNotThereIsUntestable) {
  WrittenRun run;
  run.argv = {"/nowhere/trainer"};
  testing::write(run, folder_ / "run");
  const ReplayAnswer answer = replay(options());
  EXPECT_EQ(exit_code(answer), 125);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("not started")));
}

TEST_F(Replay, OfAProgramThatDiesMidwayIsIncomparableAndSaysHow) {
  const ReplayAnswer answer = replay_of({"--crash", "12"});
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable) << answer.verdict;
  EXPECT_EQ(answer.verdict.steps_compared, 12U);
  EXPECT_EQ(answer.verdict.last_same_step, 11U);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("killed by signal 9")));
}

TEST_F(Replay, ThatEndsByItselfTooEarlyHasEndedOtherwise) {
  const ReplayAnswer answer = replay_of({"--steps", "30"});
  EXPECT_EQ(answer.verdict.outcome, Outcome::diverged);
  EXPECT_EQ(answer.verdict.cause, Cause::ended);
  EXPECT_EQ(answer.verdict.step, 30U);
}

TEST_F(Replay, ThatTrainsOnWhereTheRecordingEndedByItselfHasEndedOtherwise) {
  const ReplayAnswer answer = replay_of({"--steps", "43"});
  EXPECT_EQ(answer.verdict.outcome, Outcome::diverged) << answer.verdict;
  EXPECT_EQ(answer.verdict.cause, Cause::ended);
  EXPECT_EQ(answer.verdict.step, 40U);
  EXPECT_EQ(answer.verdict.last_same_step, 39U);
  EXPECT_EQ(answer.verdict.steps_compared, 40U);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("trains on")));
}

TEST_F(Replay, OfAWindowInTheMiddleDoesNotAskHowTheProgramEnds) {
  WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER, "--steps", "43"};
  testing::write(run, folder_ / "run");
  ReplayOptions window = options();
  window.to = 30;
  EXPECT_EQ(replay(window).verdict.outcome, Outcome::same);
}

TEST_F(Replay, OfAWindowOutsideTheRunIsIncomparableAndStartsNothing) {
  WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER};
  testing::write(run, folder_ / "run");
  ReplayOptions outside = options();
  outside.from = 100;
  const ReplayAnswer answer = replay(outside);
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable);
  EXPECT_THAT(answer.verdict.evidence,
              Contains(HasSubstr("--from 100 lies outside the recording, which has steps 0 to 39")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "replay"));
}

TEST_F(Replay, OfAnEmptyWindowIsAMistakeOfUsage) {
  WrittenRun run;
  testing::write(run, folder_ / "run");
  ReplayOptions empty = options();
  empty.from = empty.to = 10;
  EXPECT_THROW((void)replay(empty), BrokenInput);
}

// It used to be `same`, although 60 of the steps asked for were never recorded.
TEST_F(Replay, OfAWindowBeyondTheEndIsCutAndNotCalledTheSame) {
  WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER};
  testing::write(run, folder_ / "run");
  ReplayOptions beyond = options();
  beyond.to = 100;
  const ReplayAnswer answer = replay(beyond);
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable);
  EXPECT_EQ(answer.verdict.steps_compared, 40U);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("recorded are 0 to 39")));
}

TEST_F(Replay, WithAnotherCommandSaysWhatWasRecorded) {
  WrittenRun run;
  run.argv = {"/nowhere/trainer"};
  testing::write(run, folder_ / "run");
  ReplayOptions other = options();
  other.command = {SAMESTEP_FRAMES_TRAINER};
  EXPECT_EQ(replay(other).verdict.outcome, Outcome::same);
  EXPECT_THAT(said_, HasSubstr("recorded was: /nowhere/trainer"));
}

TEST_F(Replay, RefusesASettingThatIsNoPin) {
  WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER};
  testing::write(run, folder_ / "run");
  ReplayOptions loader = options();
  loader.set = {{"LD_PRELOAD", "/tmp/evil.so"}};
  EXPECT_THROW((void)replay(loader), BrokenInput);
}

TEST_F(Replay, KeepsGoingOnRequestAndCountsWhatDiffers) {
  WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER, "--edit", "loss:20"};
  testing::write(run, folder_ / "run");
  ReplayOptions all = options();
  all.keep_going = true;
  const ReplayAnswer answer = replay(all);
  EXPECT_EQ(answer.verdict.step, 20U);
  EXPECT_EQ(answer.verdict.steps_compared, 40U);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("20 of the steps compared differ")));
}

TEST_F(Replay, RefusesToSaveOverSomething) {
  WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER};
  testing::write(run, folder_ / "run");
  ReplayOptions over = options();
  over.save = folder_ / "run";
  EXPECT_THROW((void)replay(over), BrokenInput);
}

TEST_F(Replay, OfAnEditedLogIsTampered) {
  WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER};
  testing::write(run, folder_ / "run");
  std::fstream log(folder_ / "run/log-r0000-s0000.h5", std::ios::in | std::ios::out | std::ios::binary);
  log.seekp(-200, std::ios::end);
  log.put('\x5a');
  log.close();
  EXPECT_THROW((void)replay(options()), BrokenInput);
}

}  // namespace
}  // namespace samestep
