// A program recorded twice: real recorder, real processes, a trainer that only speaks frames.
#include "replay/doctor/trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "replay/run/run_reader.h"
#include "tests/run/temporary_folder.h"

namespace samestep {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Trials : public ::testing::Test {
 protected:
  Trial run(std::vector<std::string> words) {
    TrialOptions options;
    options.argv = {SAMESTEP_FRAMES_TRAINER};
    options.argv.insert(options.argv.end(), words.begin(), words.end());
    options.cwd = folder_.path();
    options.folder = folder_ / "trial";
    return try_twice(options);
  }
  const TemporaryFolder folder_;
};

TEST_F(Trials, OfAProgramThatRepeatsItselfAreTheSame) {
  const Trial trial = run({});
  EXPECT_EQ(trial.verdict.outcome, Outcome::same);
  EXPECT_EQ(trial.verdict.steps_compared, TrialOptions{}.steps);
  EXPECT_THAT(trial.advice, IsEmpty());
  EXPECT_FALSE(trial.replay);
}

TEST_F(Trials, StopTheProgramAfterTheFirstSteps) {
  const Trial trial = run({"--crash", "8"});
  EXPECT_EQ(trial.verdict.outcome, Outcome::same);
  ASSERT_THAT(trial.recordings, SizeIs(2));
  for (const auto& path : trial.recordings) EXPECT_EQ(RunReader(path).end_step(), 8U);
}

TEST_F(Trials, OfAProgramThatEndsBeforeAreComparedAsFarAsItGoes) {
  const Trial trial = run({"--steps", "3"});
  EXPECT_EQ(trial.verdict.outcome, Outcome::same);
  EXPECT_EQ(trial.verdict.steps_compared, 3U);
}

// What is unseeded is given by the recorder, anew in every recording, and again in a replay.
TEST_F(Trials, OfAnUnseededProgramNameTheGeneratorAndSayThatAReplayRepeatsIt) {
  const Trial trial = run({"--unseeded", "0"});
  EXPECT_EQ(trial.verdict.outcome, Outcome::diverged);
  EXPECT_EQ(trial.verdict.lane, Lane::rng);
  EXPECT_EQ(trial.replay, Outcome::same);
  EXPECT_THAT(trial.advice.front(), HasSubstr("seed"));
  EXPECT_THAT(trial.advice, Contains(HasSubstr("a replay repeats it all the same")));
}

TEST_F(Trials, OfAProgramThatDoesNotRepeatAreFlaky) {
  const Trial trial = run({"--noise", "2"});
  EXPECT_EQ(trial.verdict.outcome, Outcome::flaky);
  EXPECT_EQ(trial.verdict.step, 2U);
  EXPECT_EQ(trial.verdict.lane, Lane::loss);
  EXPECT_THAT(trial.advice, Contains(HasSubstr("deterministic implementation")));
  EXPECT_THAT(trial.advice, Contains(HasSubstr("not even a replay")));
}

TEST_F(Trials, OfAProgramThatDoesNotStartAreUntestable) {
  TrialOptions options;
  options.argv = {"/nowhere/program"};
  options.cwd = folder_.path();
  options.folder = folder_ / "trial";
  const Trial trial = try_twice(options);
  EXPECT_TRUE(trial.untestable);
  EXPECT_THAT(trial.recordings, IsEmpty());
}

TEST_F(Trials, OfAProgramThatDoesNotTrainSaySo) {
  const Trial trial = run({"--exit", "3"});
  EXPECT_FALSE(trial.untestable);
  EXPECT_EQ(trial.verdict.outcome, Outcome::incomparable);
  EXPECT_THAT(trial.verdict.evidence, Contains(HasSubstr("no step was recorded: the program exited with code 3")));
  EXPECT_THAT(trial.verdict.evidence, Contains(HasSubstr("frames_trainer begins")));
}

Verdict at(Lane lane, std::uint64_t step) {
  Verdict verdict;
  verdict.outcome = Outcome::diverged;
  verdict.lane = lane;
  verdict.step = step;
  return verdict;
}

TEST(Advice, NamesTheCallThatSeedsEachGenerator) {
  const auto advice = advice_for(at(Lane::weights_in, 0), {"cpu", "python", "numpy", "cuda:0"}, true);
  for (const char* call : {"torch.manual_seed(", "random.seed(", "numpy.random.seed(", "torch.cuda.manual_seed_all("})
    EXPECT_THAT(advice, Contains(HasSubstr(call)));
  EXPECT_THAT(advice, Each(Not(HasSubstr("checkpoint"))));
}

TEST(Advice, SaysWhereToLookInEveryLane) {
  for (const Lane lane : all_lanes) EXPECT_THAT(advice_for(at(lane, 1), {}, false), SizeIs(2)) << name(lane);
  EXPECT_THAT(advice_for(at(Lane::weights_in, 0), {}, false).front(), HasSubstr("checkpoint"));
  EXPECT_THAT(advice_for(at(Lane::batch, 1), {}, true).front(), HasSubstr("os.listdir"));
}

}  // namespace
}  // namespace samestep
