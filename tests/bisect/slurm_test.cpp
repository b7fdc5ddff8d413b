// Bisects whose trials are jobs of a Slurm cluster of this machine alone. Some 25 s on an idle machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "bisect/slurm.h"
#include "replay/run/error.h"
#include "tests/bisect/bisected_project.h"
#include "tests/bisect/private_slurm.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using testing::BisectedProject;
using ::testing::HasSubstr;
using testing::PrivateSlurm;

const std::string by_slurm = "--executor slurm -j 3 ";

class OnSlurm : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { slurm_ = std::make_unique<PrivateSlurm>(); }
  static void TearDownTestSuite() { slurm_.reset(); }
  void SetUp() override { ASSERT_EQ(slurm_->refusal(), ""); }  // no cluster is no success

  [[nodiscard]] static EnvironmentChanges environment() { return slurm_->environment(); }
  [[nodiscard]] std::string unless_go_sleep() const {
    return "test -e " + (folder_ / "go").string() + " || sleep " + number_;
  }
  void go() const { std::ofstream(folder_ / "go").flush(); }
  [[nodiscard]] bool sleeps() const { return testing::some_process_has("sleep" + std::string(1, '\0') + number_); }

  static std::unique_ptr<PrivateSlurm> slurm_;
  testing::Folder folder_;
  const std::string number_ = "86431." + std::to_string(::getpid());
};
std::unique_ptr<PrivateSlurm> OnSlurm::slurm_;

TEST_F(OnSlurm, TheSameCulpritInFewerRounds) {
  const BisectedProject project(folder_, 7, 4);
  const std::string before = project.surroundings();
  const auto alone = project.bisect("alone", "one");
  const std::string with_a_core = by_slurm + "--slurm-option cpus-per-task=1";
  const auto answer = project.bisect("slurm", "other", with_a_core, environment());
  EXPECT_EQ(answer.code, 0) << answer.said;
  EXPECT_EQ(answer.culprit(), project.commits()[4]);
  std::size_t named = 0;
  for (const auto& trial : fs::directory_iterator(project.folder_of("slurm") / "trials")) {
    const auto told = nlohmann::json::parse(testing::text_of(trial.path() / "answer.json"), nullptr, false);
    if (told.is_object() && std::stoul("0" + told.value("job", std::string())) > 0) ++named;
  }
  EXPECT_EQ(named, project.finished("slurm"));
  EXPECT_GT(named, 0U);
  EXPECT_EQ(answer.culprit(), alone.culprit());
  EXPECT_LT(answer.rounds(), alone.rounds());
  EXPECT_EQ(project.finished("slurm"), project.begun("slurm"));
  EXPECT_TRUE(testing::comes_true([] { return slurm_->active_jobs().empty(); }));
  EXPECT_EQ(project.surroundings(), before);
  const auto again = project.bisect("again", "other", with_a_core, environment());
  EXPECT_EQ(again.json["steps_replayed"], 0) << "a trial was repeated";
}

TEST_F(OnSlurm, WhatAKilledBisectLeftIsCancelledByTheNext) {
  const BisectedProject project(folder_, 5, 3, unless_go_sleep());
  const pid_t bisect = project.start("killed", "cache", by_slurm, environment());
  ASSERT_TRUE(testing::comes_true([&] { return project.finished("killed") == 3 && sleeps(); }));
  ::kill(bisect, SIGKILL);
  (void)project.wait_for(bisect, "killed");
  EXPECT_FALSE(slurm_->active_jobs().empty());
  go();
  const auto answer = project.bisect("again", "cache", by_slurm, environment());
  EXPECT_EQ(answer.culprit(), project.commits()[3]) << answer.said;
  EXPECT_THAT(answer.errors, HasSubstr("cancelling 1 of Slurm's jobs"));
  EXPECT_EQ(project.kept("cache"), project.begun("again") + 3) << "a finished trial was repeated";
  EXPECT_TRUE(testing::comes_true([&] { return slurm_->active_jobs().empty() && !sleeps(); }));
}

TEST_F(OnSlurm, ABisectThatIsAskedToStopCancelsItsJobs) {
  const BisectedProject project(folder_, 5, 3, unless_go_sleep());
  const pid_t bisect = project.start("stopped", "cache", by_slurm, environment());
  ASSERT_TRUE(testing::comes_true([&] { return sleeps(); }));
  ::kill(bisect, SIGTERM);
  EXPECT_EQ(project.wait_for(bisect, "stopped").code, 128 + SIGTERM);
  EXPECT_TRUE(testing::comes_true([&] { return slurm_->active_jobs().empty() && !sleeps(); }));
}

TEST_F(OnSlurm, ANodeThatFailsIsNoAnswerAndAJobThatSomebodyCancelsEndsTheBisect) {
  const BisectedProject project(folder_, 4, 2, unless_go_sleep());
  const pid_t bisect = project.start("failing", "cache", by_slurm, environment());
  ASSERT_TRUE(testing::comes_true([&] { return sleeps(); }));
  go();
  slurm_->sh("scontrol update NodeName=ALL State=DOWN Reason=test; scontrol update NodeName=ALL State=RESUME");
  const auto answer = project.wait_for(bisect, "failing");
  EXPECT_EQ(answer.culprit(), project.commits()[2]) << answer.said;
  EXPECT_GT(project.begun("failing"), project.finished("failing"));

  fs::remove(folder_ / "go");
  const pid_t other = project.start("cancelled", "other", by_slurm, environment());
  ASSERT_TRUE(testing::comes_true([&] { return sleeps(); }));
  slurm_->sh("scancel --user=$(id -un)");
  const auto cancelled = project.wait_for(other, "cancelled");
  EXPECT_EQ(cancelled.code, 2);
  EXPECT_THAT(cancelled.errors, HasSubstr("ended as CANCELLED"));
}

TEST_F(OnSlurm, WhatSbatchRefusesIsToldInItsWords) {
  const BisectedProject project(folder_, 3, 1);
  const auto answer = project.bisect("refused", "cache", by_slurm + "--slurm-option partition=moon", environment());
  EXPECT_EQ(answer.code, 2);
  EXPECT_THAT(answer.errors, HasSubstr("invalid partition specified: moon"));
}

TEST(SlurmsAnswers, AreTakenApartLineByLine) {
  const auto jobs =
      parse_slurm_jobs("12|RUNNING|samestep-trial|/a b|c\n13_4|PENDING|x|/\n14|COMPLETED|x|/tmp\nnonsense\n|||\n");
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0], (SlurmJob{12, "RUNNING", "samestep-trial", "/a b|c"}));
  EXPECT_EQ(jobs[1].id, 14U);
  EXPECT_TRUE(is_over("NODE_FAIL"));
  EXPECT_FALSE(is_over("COMPLETING"));
}

TEST(SlurmsOptions, ThatMakeNoSingleJobAreRefused) {
  for (const std::string option : {"array=1-3", "--wrap=true", "-N2", "wait", "--clusters=other"})
    EXPECT_THROW(Slurm({option}), BrokenInput) << option;
}

TEST(SlurmsOptions, OfTimeAndMemoryAloneChooseNoMachine) {
  EXPECT_EQ(machines_behind({"time=5", "--mem=3G", "-t7", "comment=gpu"}), machines_behind({}));
  EXPECT_NE(machines_behind({"cpus-per-task=4"}), machines_behind({}));
  EXPECT_NE(machines_behind({"-c4"}), machines_behind({"-c8"}));
  EXPECT_NE(machines_behind({"partition=gpu"}), machines_behind({}));
  EXPECT_EQ(machines_behind({"partition=gpu", "gres=gpu:1"}), machines_behind({"--gres=gpu:1", "--partition=gpu"}));
}

}  // namespace
}  // namespace samestep
