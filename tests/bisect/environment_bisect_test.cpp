// Whole searches among the differences around a run: the program is a shell script around one that speaks frames, and
// real views hold the exchanged files.
#include "bisect/environment_bisect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "bisect/bisect.h"
#include "replay/run/error.h"
#include "replay/run/manifest.h"
#include "replay/view/view.h"
#include "tests/bisect/made_repository.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::text_of;

class AnEnvironment : public ::testing::Test {
 protected:
  void SetUp() override {
    made_.write(".gitignore", "run\nother\ndata\nfilter\ncopies\nsamestep-runs\n");
    made_.write("data", "old data");
    made_.write("filter", "old filter");
    made_.write("copies/data", "old data");
    made_.write("copies/filter", "old filter");
    ::setenv("OMP_NUM_THREADS", "2", 1);
    ::unsetenv("OMP_DYNAMIC");
  }
  void TearDown() override {
    ::unsetenv("OMP_NUM_THREADS");
    ::unsetenv("OMP_DYNAMIC");
  }

  // The program of the run; "$TRAINER" stands for the program that trains, "$EDIT" for what makes it diverge.
  void record(const std::string& script, const std::string& run = "run", const std::string& threads = "2") {
    made_.write("run.sh", "TRAINER=" SAMESTEP_FRAMES_TRAINER " EDIT='--edit loss:9'\n" + script + "\n");
    testing::WrittenRun written;
    written.argv = {"/bin/sh", "run.sh"};
    testing::write(written, made_ / run);
    Manifest manifest = read_manifest(made_ / run);
    ::setenv("OMP_NUM_THREADS", threads.c_str(), 1);
    manifest.what.update(variables_now(written.argv));
    ::setenv("OMP_NUM_THREADS", "2", 1);
    for (const std::string file : {"data", "filter"}) {
      const std::string text = text_of(made_ / file);
      manifest.what["reads"]["files"].push_back({{"path", fs::canonical(made_ / file).string()},
                                                 {"size", text.size()},
                                                 {"mtime_ns", 0},
                                                 {"digest", digest(text).hex()}});
    }
    write_manifest(made_ / run, manifest);
  }
  EnvironmentBisectOptions options() {
    EnvironmentBisectOptions options;
    options.run = made_ / "run";
    options.from = {made_ / "copies"};
    options.folder = folder_ / ("bisect" + std::to_string(++bisects_));
    options.cache = folder_ / "cache";
    options.replay.say = [this](const std::string& line) { said_ += line + "\n"; };
    return options;
  }
  // Nullopt where this machine allows no view: that is what is said then.
  std::optional<EnvironmentReport> bisect(const EnvironmentBisectOptions& options) {
    if (testing::view_refusal().empty()) return bisect_environment(options);
    EXPECT_THROW((void)bisect_environment(options), ViewRefused);
    return std::nullopt;
  }
  static std::vector<std::string> accused(const EnvironmentReport& report) {
    std::vector<std::string> names;
    for (const std::size_t item : report.answer.set)
      names.push_back(fs::path(report.items[item].name).filename().string());
    return names;
  }
  static std::string said(const EnvironmentReport& report) {
    std::ostringstream text;
    text << report;
    return text.str();
  }

  testing::Folder folder_;
  testing::MadeRepository made_{folder_ / "project"};
  std::string said_;
  int bisects_ = 0;
};

TEST_F(AnEnvironment, IsBlamedForAFileWithOtherBytes) {
  record("grep -q old data || OTHER=$EDIT; exec $TRAINER $OTHER");
  made_.write("data", "new data");  // as many bytes
  made_.write("filter", "newer filter");
  ::setenv("OMP_DYNAMIC", "true", 1);
  const auto report = bisect(options());
  if (!report) return;
  ASSERT_EQ(exit_code(*report), 0) << said(*report);
  EXPECT_EQ(report->items.size(), 3U) << said(*report);
  EXPECT_THAT(accused(*report), ::testing::ElementsAre("data"));
  ASSERT_TRUE(report->answer.divergence);
  EXPECT_EQ(report->answer.divergence->step, 9U);
  EXPECT_EQ(report->answer.divergence->lane, Lane::loss);
  EXPECT_THAT(said(*report), HasSubstr("cause: 1 of 3 differences, proven"));
  EXPECT_EQ(text_of(made_ / "data"), "new data") << "a file of the user's was touched";
  EXPECT_EQ(text_of(made_ / "filter"), "newer filter");
  const json found = to_json(*report);
  EXPECT_EQ(found["cause"][0]["kind"], "file");
  EXPECT_EQ(found["step"], 9);
}

TEST_F(AnEnvironment, IsBlamedForAVariable) {
  record("test $OMP_NUM_THREADS = 2 || OTHER=$EDIT; exec $TRAINER $OTHER");
  made_.write("data", "new data");
  ::setenv("OMP_NUM_THREADS", "1", 1);
  EnvironmentBisectOptions wanted = options();
  wanted.folder = folder_ / "samestep-runs" / "found";
  wanted.finished = wanted.replay.say;
  const auto report = bisect(wanted);
  if (!report) return;
  EXPECT_EQ(exit_code(*report), 0) << said(*report);
  EXPECT_THAT(accused(*report), ::testing::ElementsAre("OMP_NUM_THREADS"));
  EXPECT_THAT(said_, HasSubstr("with 1 of 2 differences (OMP_NUM_THREADS): diverged")) << "what is tried has a name";
  EXPECT_EQ(text_of(folder_ / "samestep-runs" / ".gitignore"), "*\n");
  EXPECT_THAT(said(*report), HasSubstr("OMP_NUM_THREADS: recorded 2, now 1"));
}

TEST_F(AnEnvironment, IsBlamedForWhatActsTogetherOnly) {
  record("test $OMP_NUM_THREADS = 2 || grep -q old filter || OTHER=$EDIT; exec $TRAINER $OTHER");
  made_.write("data", "new data");
  made_.write("filter", "new filter");
  ::setenv("OMP_NUM_THREADS", "1", 1);
  const auto report = bisect(options());
  if (!report) return;
  EXPECT_EQ(exit_code(*report), 0) << said(*report);
  EXPECT_THAT(accused(*report), ::testing::UnorderedElementsAre("OMP_NUM_THREADS", "filter"));
}

TEST_F(AnEnvironment, WhoseOriginalFileIsNowhereIsNotProvenToBeTheCause) {
  record("grep -q old data || OTHER=$EDIT; exec $TRAINER $OTHER");
  made_.write("data", "new data");
  ::setenv("OMP_DYNAMIC", "true", 1);
  EnvironmentBisectOptions without = options();
  without.from.clear();
  const auto report = bisect(without);
  if (!report) return;
  EXPECT_EQ(exit_code(*report), 3) << said(*report);
  EXPECT_EQ(report->answer.conclusion, DeltaConclusion::not_restored);
  EXPECT_THAT(said(*report), HasSubstr("nowhere at hand: --from a folder"));
}

TEST_F(AnEnvironment, ThatReproducesTheRunIsSaidTo) {
  record("exec $TRAINER");
  made_.write("data", "new data");
  const auto report = bisect(options());
  if (!report) return;
  EXPECT_EQ(exit_code(*report), 3);
  EXPECT_EQ(report->answer.conclusion, DeltaConclusion::reproduces) << said(*report);
}

TEST_F(AnEnvironment, OfAnotherRunIsTriedInPlaceOfWhatIsHere) {
  record("test $OMP_NUM_THREADS = 2 || OTHER=$EDIT; grep -q third data && exit 3; exec $TRAINER $OTHER");
  made_.write("data", "new data");
  made_.write("copies/new/data", "new data");
  record("test $OMP_NUM_THREADS = 2 || OTHER=$EDIT; grep -q third data && exit 3; exec $TRAINER $OTHER", "other", "1");
  made_.write("data", "third");  // neither's
  EnvironmentBisectOptions another = options();
  another.other_run = made_ / "other";
  const auto report = bisect(another);
  if (!report) return;
  EXPECT_EQ(exit_code(*report), 0) << said(*report);
  EXPECT_EQ(report->items.size(), 2U);
  EXPECT_THAT(accused(*report), ::testing::ElementsAre("OMP_NUM_THREADS"));
}

TEST_F(AnEnvironment, IsNotTriedAgainForWhatIsKnown) {
  record("grep -q old data || OTHER=$EDIT; exec $TRAINER $OTHER");
  made_.write("data", "new data");
  const auto first = bisect(options()), second = first ? bisect(options()) : std::nullopt;
  if (!second) return;
  EXPECT_EQ(accused(*second), accused(*first));
  EXPECT_LT(second->answer.steps_replayed, first->answer.steps_replayed);
  made_.write("data", "now data");
  EXPECT_EQ(exit_code(*bisect(options())), 0) << "other bytes are another question";
}

// In place nothing of the user's is exchanged.
TEST_F(AnEnvironment, WithoutAViewHasVariablesAlone) {
  record("test $OMP_NUM_THREADS = 2 || OTHER=$EDIT; exec $TRAINER $OTHER");
  made_.write("data", "new data");
  ::setenv("OMP_NUM_THREADS", "1", 1);
  EnvironmentBisectOptions in_place = options();
  in_place.replay.in_place = true;
  const EnvironmentReport report = bisect_environment(in_place);
  EXPECT_EQ(exit_code(report), 0) << said(report);
  EXPECT_THAT(accused(report), ::testing::ElementsAre("OMP_NUM_THREADS"));
  EXPECT_THAT(said(report), HasSubstr("exchanged in a view alone"));
}

// A bisect over commits whose good end no longer reproduces the run.
class AChangedEnvironment : public AnEnvironment {
 protected:
  void SetUp() override {
    AnEnvironment::SetUp();
    if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
  }
  BisectReport bisect_commits(const std::string& script) {
    record(script);
    good_ = made_.commit("Train");
    made_.write("README", "x");
    const std::string bad = made_.commit("Say how");
    made_.write("data", "new data");
    made_.write("run.sh", "exit 7\n");  // a local change: no trial sees it
    BisectOptions commits;
    commits.repository = made_.root();
    commits.good = good_;
    commits.bad = bad;
    commits.run = made_ / "run";
    commits.folder = folder_ / "commits";
    commits.cache = folder_ / "cache";
    return samestep::bisect(commits);
  }
  std::string good_;
};

TEST_F(AChangedEnvironment, IsNoCommitsFault) {
  const BisectReport report = bisect_commits("grep -q old data || OTHER=$EDIT; exec $TRAINER $OTHER");
  EXPECT_EQ(exit_code(report.answer), 3);
  EXPECT_EQ(report.answer.conclusion, Conclusion::end_not_as_claimed);
  EXPECT_THAT(report.answer.why,
              HasSubstr("no longer reproduces the run (from step 9 on), so the cause is not a commit"));
  EXPECT_THAT(report.around.differences, Contains(HasSubstr("data changed: digest")));
  EXPECT_THAT(report.around.differences, ::testing::Not(Contains(HasSubstr("run.sh"))));
  EXPECT_THAT(report.around.next, HasSubstr("--environment --repo"));
  EXPECT_EQ(to_json(report)["next"], report.around.next);
  EnvironmentBisectOptions on = options();
  on.good = good_;
  on.repository = made_.root();
  EXPECT_EQ(exit_code(bisect_environment(on)), 0) << "the command that goes on";
}

// Other settings make every trial untestable: that is no build that fails.
TEST_F(AChangedEnvironment, WithOtherSettingsIsNoBuildThatFails) {
  const BisectReport report = bisect_commits("grep -q old data || OTHER=\"$EDIT --threads 1\"; exec $TRAINER $OTHER");
  EXPECT_EQ(exit_code(report.answer), 3) << report.answer.why;
  EXPECT_THAT(report.around.differences, Contains("threads.intra: 2 against 1"));
}

}  // namespace
}  // namespace samestep
