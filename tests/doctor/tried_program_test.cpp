// A program recorded twice: real recorder, real processes, a trainer that only speaks frames.
#include "replay/doctor/tried_program.h"

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
  TriedProgram run(std::vector<std::string> words) {
    TryOptions options;
    options.argv = {SAMESTEP_FRAMES_TRAINER};
    options.argv.insert(options.argv.end(), words.begin(), words.end());
    options.cwd = folder_.path();
    options.folder = folder_ / "trial";
    return try_twice(options);
  }
  const TemporaryFolder folder_;
};

TEST_F(Trials, OfAProgramThatRepeatsItselfAreTheSame) {
  const TriedProgram trial = run({});
  EXPECT_EQ(trial.verdict.outcome, Outcome::same);
  EXPECT_EQ(trial.verdict.steps_compared, TryOptions{}.steps);
  EXPECT_THAT(trial.advice, IsEmpty());
  EXPECT_FALSE(trial.replay);
}

TEST_F(Trials, StopTheProgramAfterTheFirstSteps) {
  const TriedProgram trial = run({"--crash", "8"});
  EXPECT_EQ(trial.verdict.outcome, Outcome::same);
  ASSERT_THAT(trial.recordings, SizeIs(2));
  for (const auto& path : trial.recordings) EXPECT_EQ(RunReader(path).end_step(), 8U);
}

TEST_F(Trials, OfAProgramThatEndsBeforeAreComparedAsFarAsItGoes) {
  const TriedProgram trial = run({"--steps", "3"});
  EXPECT_EQ(trial.verdict.outcome, Outcome::same);
  EXPECT_EQ(trial.verdict.steps_compared, 3U);
}

// What is unseeded is given by the recorder, anew in every recording, and again in a replay.
TEST_F(Trials, OfAnUnseededProgramNameTheGeneratorAndSayThatAReplayRepeatsIt) {
  const TriedProgram trial = run({"--unseeded", "0"});
  EXPECT_EQ(trial.verdict.outcome, Outcome::diverged);
  EXPECT_EQ(trial.verdict.lane, Lane::rng);
  EXPECT_EQ(trial.replay, Outcome::same);
  EXPECT_THAT(trial.advice.front(), HasSubstr("seed"));
  EXPECT_THAT(trial.advice, Contains(HasSubstr("a replay repeats it all the same")));
}

TEST_F(Trials, OfAProgramThatDoesNotRepeatAreFlaky) {
  const TriedProgram trial = run({"--noise", "2"});
  EXPECT_EQ(trial.verdict.outcome, Outcome::flaky);
  EXPECT_EQ(trial.verdict.step, 2U);
  EXPECT_EQ(trial.verdict.lane, Lane::loss);
  EXPECT_THAT(trial.advice, Contains(HasSubstr("deterministic implementation")));
  EXPECT_THAT(trial.advice, Contains(HasSubstr("not even a replay")));
}

TEST_F(Trials, OfAProgramThatDoesNotStartAreUntestable) {
  TryOptions options;
  options.argv = {"/nowhere/program"};
  options.cwd = folder_.path();
  options.folder = folder_ / "trial";
  const TriedProgram trial = try_twice(options);
  EXPECT_TRUE(trial.untestable);
  EXPECT_THAT(trial.recordings, IsEmpty());
}

TEST_F(Trials, OfAProgramThatDoesNotTrainSaySo) {
  const TriedProgram trial = run({"--exit", "3"});
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

nlohmann::json seeded(const char* source, const char* number) {
  nlohmann::json seed{{"process", "0/0"}, {"source", source}, {"call", 0U}, {"seed", number}, {"code", "00ff"}};
  return {{"seeds", nlohmann::json::array({seed})}};
}

// It used to say that torch's generator was not seeded.
TEST(Advice, SaysOfASeedThatChangesThatItDoes) {
  const SeedsOfBoth clock = seeds_of_both(seeded("torch", "1700000001"), seeded("torch", "1700000009"));
  const auto advice = advice_for(at(Lane::weights_in, 0), {"cpu"}, true, clock);
  EXPECT_THAT(advice.front(),
              HasSubstr("torch.manual_seed() was given 1700000001 in the first recording and 1700000009 "
                        "in the second: the program makes its seed of something that changes"));
  EXPECT_THAT(advice, Each(Not(HasSubstr("was not seeded"))));
  const SeedsOfBoth equal = seeds_of_both(seeded("torch", "1"), seeded("torch", "1"));
  EXPECT_THAT(advice_for(at(Lane::rng, 3), {"cpu", "numpy"}, true, equal),
              Contains(HasSubstr("something else draws from it")));
  EXPECT_THAT(advice_for(at(Lane::rng, 3), {"cpu", "numpy"}, true, equal),
              Contains(HasSubstr("numpy's shared generator was not seeded")));
}

TEST(Advice, NamesGeneratorsThatNobodySeesWhereNothingElseExplains) {
  for (const Lane lane : {Lane::weights_in, Lane::batch}) {
    const auto advice = advice_for(at(lane, 0), {}, true);
    EXPECT_THAT(advice, Contains(HasSubstr("numpy.random.RandomState(), torch.Generator()"))) << name(lane);
  }
  EXPECT_THAT(advice_for(at(Lane::weights_in, 0), {"cpu"}, true), Each(Not(HasSubstr("RandomState"))));
}

TEST(Advice, SaysWhereToLookInEveryLane) {
  for (const Lane lane : all_lanes)
    EXPECT_THAT(advice_for(at(lane, 1), {}, false), SizeIs(::testing::Ge(2U))) << name(lane);
  EXPECT_THAT(advice_for(at(Lane::weights_in, 0), {}, false).front(), HasSubstr("checkpoint"));
  EXPECT_THAT(advice_for(at(Lane::batch, 1), {}, true).front(), HasSubstr("os.listdir"));
}

}  // namespace
}  // namespace samestep
