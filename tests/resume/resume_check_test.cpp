// Whole checks: real recorders, real processes, views where this machine allows them and copies of the folder where
// not.
#include "replay/resume/resume_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "replay/run/error.h"
#include "replay/run/run_reader.h"
#include "tests/run/temporary_folder.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* trainer = SAMESTEP_RESUMING_TRAINER;

class ResumeCheck : public ::testing::Test {
 protected:
  ResumeCheck() {
    fs::create_directory(work());
    options_.cwd = work();
    options_.in_place = !testing::view_refusal().empty();
    options_.at = 6;
    options_.argv = {trainer, "--save-every", "4"};
    options_.say = [this](const std::string& line) { said_ += line + "\n"; };
    set_resume("");
  }
  void set_resume(const std::string& words) { options_.resume = std::string(trainer) + " --resume " + words; }
  void add(const std::vector<std::string>& words) {
    options_.argv.insert(options_.argv.end(), words.begin(), words.end());
  }
  [[nodiscard]] fs::path work() const { return folder_ / "work"; }
  ResumeAnswer check() { return resume_check(options_); }
  static void expect_evidence(const ResumeAnswer& answer, const std::string& text) {
    EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr(text))) << answer.verdict;
  }

  const TemporaryFolder folder_;
  ResumeOptions options_;
  std::string said_;
};

// Killed when step 7 is made, before what was saved after it; the last checkpoint holds 4 steps.
TEST_F(ResumeCheck, OfAResumeThatIsExactIsTheSameAndTouchesNothing) {
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::same) << answer.verdict;
  EXPECT_EQ(answer.killed_at, 7U);
  EXPECT_EQ(answer.taken_up_at, 4U);
  EXPECT_EQ(answer.twice_to, 7U);
  EXPECT_EQ(answer.verdict.steps_compared, 8U);
  EXPECT_TRUE(fs::is_empty(work()));
  EXPECT_EQ(exit_code(answer), 0);
}

TEST_F(ResumeCheck, KillsAfterTheCheckpointOfTheStepThatWasAskedForAndBeforeTheNext) {
  options_.argv = {trainer, "--save-every", "1"};
  EXPECT_EQ(check().taken_up_at, 7U);
}

TEST_F(ResumeCheck, NamesTheFirstStepAndLaneThatDiffer) {
  set_resume("--edit batch");
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::diverged);
  EXPECT_EQ(answer.verdict.step, 4U);
  EXPECT_EQ(answer.verdict.lane, Lane::batch);
  EXPECT_EQ(exit_code(answer), 1);
}

// Of step 16 the killed run tells nothing.
TEST_F(ResumeCheck, RunsTheProgramOnceMoreBeforeALateDivergenceIsCalled) {
  add({"--steps", "20"});
  set_resume("--steps 20 --edit optimizer");
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::diverged) << answer.verdict;
  EXPECT_EQ(answer.verdict.step, 16U);
  EXPECT_EQ(answer.twice_to, 16U);
  EXPECT_THAT(said_, HasSubstr("once more"));
}

TEST_F(ResumeCheck, OfAProgramThatDoesNotRepeatItselfIsFlaky) {
  add({"--noise", "2"});
  ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::flaky);
  EXPECT_EQ(answer.verdict.step, 2U);
  EXPECT_THAT(said_, Not(HasSubstr("resumed run")));
  options_.argv.back() = "10";
  set_resume("--noise 10");
  answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::flaky) << answer.verdict;
  EXPECT_EQ(answer.verdict.step, 10U);
  EXPECT_EQ(exit_code(answer), 3);
}

TEST_F(ResumeCheck, SaysThatNoRecordedStepHasTheWeights) {
  set_resume("--average");
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::diverged);
  EXPECT_EQ(answer.verdict.lane, Lane::weights_in);
  EXPECT_EQ(answer.taken_up_at, std::nullopt);
  EXPECT_EQ(answer.verdict.tensor, "body.weight");
  expect_evidence(answer, "no recorded step has the weights");
}

TEST_F(ResumeCheck, SaysThatTheOptimizersStateWasLost) {
  set_resume("--fresh --edit weights_out");
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.lane, Lane::optimizer);
  expect_evidence(answer, "what it had learned was not restored");
}

TEST_F(ResumeCheck, ThatFindsNoCheckpointTestedNothing) {
  set_resume("--rename nowhere");
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable);
  EXPECT_EQ(answer.taken_up_at, 0U);
  expect_evidence(answer, "began the training anew");
}

TEST_F(ResumeCheck, ThatFindsACheckpointOfBeforeTestedNothing) {
  std::ofstream(work() / "checkpoint") << 11;
  options_.argv = {trainer};
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable);
  expect_evidence(answer, "took up at step 11, which the killed run never came to");
}

TEST_F(ResumeCheck, AtTheEndOfTheRunHasNothingToResume) {
  options_.at = 11;
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable);
  expect_evidence(answer, "nothing to resume after step 11: the uninterrupted run has 12 steps");
}

TEST_F(ResumeCheck, LooksAtTheFirstStepsOnly) {
  options_.steps = 9;
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::same) << answer.verdict;
  EXPECT_EQ(answer.verdict.last_same_step, 8U);
  options_.steps = 7;
  EXPECT_THROW((void)check(), BrokenInput);
}

// It is run without a view so that the second time can differ from the first.
TEST_F(ResumeCheck, OfAProgramThatEndsBeforeItCanBeKilledSaysSo) {
  options_.in_place = true;
  add({"--twice", (folder_ / "was-here").string()});
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable);
  expect_evidence(answer,
                  "could not be killed after step 6: run once more, it exited with code 0, and its last step was 3");
}

TEST_F(ResumeCheck, OfAResumeThatFailsShowsWhatItPrinted) {
  set_resume("--exit 3");
  ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable);
  expect_evidence(answer, "the resume command recorded no step: it exited with code 3");
  expect_evidence(answer, "resuming_trainer begins");
  set_resume("--crash 9");
  answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable) << answer.verdict;
  expect_evidence(answer, "the resume command was killed by signal 6; its last step was 8");
}

TEST_F(ResumeCheck, OfAResumeThatTrainsOnIsDivergedAtTheEnd) {
  set_resume("--steps 14");
  const ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::diverged);
  EXPECT_EQ(answer.verdict.cause, Cause::ended);
  EXPECT_EQ(answer.verdict.step, 12U);
}

TEST_F(ResumeCheck, OfACommandThatDoesNotStartIsUntestable) {
  options_.resume = "/nowhere/program";
  EXPECT_EQ(exit_code(check()), 125);
  options_.argv = {"/nowhere/program"};
  EXPECT_EQ(exit_code(check()), 125);
}

// The script around the program is killed with it, and does not clean up.
TEST_F(ResumeCheck, KillsAllThatTheCommandStartedBeforeAnyOfItGoesOn) {
  for (const bool in_place : {options_.in_place, true}) {
    options_.in_place = in_place;
    options_.argv = {"/bin/sh", "-c", std::string(trainer) + " --save-every 4; echo x > after; sleep 0.01; exit 0"};
    options_.resume = std::string("test -e after && exit 9; exec ") + trainer + " --resume";
    const ResumeAnswer answer = check();
    EXPECT_EQ(answer.verdict.outcome, Outcome::same) << answer.verdict;
    EXPECT_EQ(answer.killed_at, 7U);
  }
}

TEST_F(ResumeCheck, InPlaceRunsInCopiesOfTheFolder) {
  options_.in_place = true;
  std::ofstream(work() / "data") << "mine\n";
  options_.argv = {"/bin/sh", "-c",
                   "test -e data && echo x > data && exec " + std::string(trainer) + " --save-every 4"};
  EXPECT_EQ(check().verdict.outcome, Outcome::same);
  std::string line;
  std::getline(std::ifstream(work() / "data"), line);
  EXPECT_EQ(line, "mine");
  EXPECT_FALSE(fs::exists(work() / "checkpoint"));
}

TEST_F(ResumeCheck, KeepsTheRecordingsWhereThatIsAskedFor) {
  options_.keep = folder_ / "kept";
  (void)check();
  for (const char* name : {"uninterrupted", "killed", "resumed"}) {
    EXPECT_TRUE(fs::exists(folder_ / "kept" / (std::string(name) + ".txt"))) << name;
    EXPECT_NO_THROW(RunReader(folder_ / "kept" / name).check_integrity()) << name;
  }
  EXPECT_EQ(RunReader(folder_ / "kept/resumed").first_step(), 4U);
  EXPECT_THROW((void)check(), BrokenInput) << "the folder is not empty";
}

TEST_F(ResumeCheck, WithoutAResumeTestsSamestepsAnchorsAndSaysSo) {
  options_.resume.clear();
  options_.argv = {SAMESTEP_TINY_TRAINER, "--steps", "12"};
  ResumeAnswer answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::same) << answer.verdict;
  EXPECT_TRUE(answer.tested_anchors);
  EXPECT_EQ(answer.taken_up_at, 7U);
  EXPECT_EQ(answer.verdict.steps_compared, 5U);
  EXPECT_THAT(answer.verdict.evidence.front(), HasSubstr("Samestep's own anchor"));
  options_.argv = {SAMESTEP_FRAMES_TRAINER, "--steps", "12"};  // cuts none
  answer = check();
  EXPECT_EQ(answer.verdict.outcome, Outcome::incomparable) << answer.verdict;
}

TEST_F(ResumeCheck, NamesWhatAViewRefusedToWrite) {
  if (options_.in_place) {
    options_.in_place = false;
    try {
      (void)check();
      FAIL() << "a view was refused before";
    } catch (const BrokenInput& error) {
      EXPECT_THAT(error.what(), HasSubstr("resume-check --in-place"));
    }
    return;
  }
  add({"--write", "/var/tmp/samestep-resume-check"});
  expect_evidence(check(), "--view /var/tmp allows it");
  EXPECT_FALSE(fs::exists("/var/tmp/samestep-resume-check"));
}

}  // namespace
}  // namespace samestep
