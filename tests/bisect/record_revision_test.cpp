// A revision recorded in a view, and then the reference of trials.
#include "bisect/record_revision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bisect/trial_runner.h"
#include "replay/run/run_reader.h"
#include "tests/bisect/made_repository.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ARecordedRevision : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
  }
  std::string program(const std::string& script) {
    made_.write("run.sh", script + "\n");
    return made_.commit("program");
  }
  RevisionRecording wanted() {
    RevisionRecording wanted;
    wanted.command = {"/bin/sh", "run.sh"};
    wanted.cwd = made_.root();
    wanted.run = folder_ / "run";
    wanted.folder = folder_ / "printed";
    return wanted;
  }

  testing::Folder folder_;
  testing::MadeRepository made_{folder_ / "project"};
};

TEST_F(ARecordedRevision, IsTheReferenceOfTrials) {
  const std::string good = program("echo x > made; exec " SAMESTEP_FRAMES_TRAINER " --steps 12");
  const std::string bad = program("exec " SAMESTEP_FRAMES_TRAINER " --steps 12 --edit loss:9");
  const Repository repository(made_.root());
  RevisionRecording limited = wanted();
  limited.steps = 10;
  EXPECT_EQ(record_revision(repository, good, limited).why, "");
  EXPECT_FALSE(fs::exists(made_ / "made"));
  const RunReader run(folder_ / "run");
  EXPECT_EQ(run.end_step(), 10U);
  EXPECT_EQ(run.manifest().what["revision"]["commit"], good) << "the checkout stands at another";
  TrialSettings settings;
  settings.replay.run = folder_ / "run";
  settings.folder = folder_ / "trials";
  settings.cache.clear();
  TrialRunner runner(repository, settings);
  EXPECT_EQ(runner.ask(good).outcome, TrialOutcome::same);
  EXPECT_EQ(runner.ask(bad).step, 9U);
}

TEST_F(ARecordedRevision, ThatDoesNotBuildOrStartSaysWhy) {
  const std::string broken = program("echo no such module; exit 3");
  const Repository repository(made_.root());
  EXPECT_THAT(record_revision(repository, broken, wanted()).why,
              HasSubstr("no step was recorded: the program exited with code 3; no such module"));
  RevisionRecording building = wanted();
  building.build = "echo no compiler; false";
  EXPECT_EQ(record_revision(repository, broken, building).why, "it does not build: exited with code 1; no compiler");
  RevisionRecording mistyped = wanted();
  mistyped.command = {"nosuchprogram"};
  mistyped.run = folder_ / "another";
  EXPECT_THAT(record_revision(repository, broken, mistyped).why,
              HasSubstr("the program could not be started: cannot start 'nosuchprogram'"));
}

}  // namespace
}  // namespace samestep
