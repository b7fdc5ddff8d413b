// Bisects with several workers, by the `samestep` program: the same answer in fewer rounds, and nothing left of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "tests/bisect/bisected_project.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using testing::BisectedProject;
using ::testing::HasSubstr;

class Workers : public ::testing::Test {
 protected:
  // A word that only the programs of this test have in their command line.
  static std::string number_of_its_own(const std::string& front) { return front + "." + std::to_string(::getpid()); }
  static bool sleeps(const std::string& number) {
    return testing::some_process_has("sleep" + std::string(1, '\0') + number);
  }
  // Of a shell's word: programs of middle revisions wait for this file.
  [[nodiscard]] fs::path go() const { return folder_ / "go"; }
  [[nodiscard]] std::string unless_go_sleep(const std::string& number) const {
    return "test -e " + go().string() + " || sleep " + number;
  }
  testing::Folder folder_;
};

TEST_F(Workers, FindTheSameCulpritInFewerRounds) {
  const BisectedProject project(folder_, 16, 9);
  const std::string before = project.surroundings();
  std::vector<int> rounds;
  for (const std::string jobs : {"1", "2", "3"}) {
    const auto answer = project.bisect("by-" + jobs, "cache-" + jobs, "-j " + jobs);
    EXPECT_EQ(answer.code, 0) << answer.errors;
    EXPECT_EQ(answer.culprit(), project.commits()[9]);
    EXPECT_EQ(answer.json["step"], 9);
    rounds.push_back(answer.rounds());
  }
  EXPECT_LT(rounds[1], rounds[0]);
  EXPECT_LT(rounds[2], rounds[1]);
  EXPECT_EQ(project.surroundings(), before);
}

TEST_F(Workers, LogTheSameWhoeverWasFaster) {
  const BisectedProject project(folder_, 8, 5, "sleep 0.$((REVISION * 7 % 4))");
  const auto first = project.bisect("first", "one", "-j 4"), second = project.bisect("second", "other", "-j 4");
  EXPECT_EQ(first.culprit(), project.commits()[5]) << first.errors;
  EXPECT_EQ(testing::text_of(project.folder_of("first") / "bisect.log"),
            testing::text_of(project.folder_of("second") / "bisect.log"));
  const auto again = project.bisect("again", "one", "-j 2");
  EXPECT_EQ(again.culprit(), first.culprit()) << again.errors;
}

// In worktrees, where programs can see each other.
TEST_F(Workers, RunTrialsSideBySide) {
  const fs::path now = folder_ / "now", most = folder_ / "most";
  fs::create_directory(now);
  const std::string script = "touch " + now.string() + "/$$; sleep 0.4; ls " + now.string() + " | wc -l >>" +
                             most.string() + "; rm " + now.string() + "/$$";
  const BisectedProject project(folder_, 6, 4, script);
  EXPECT_EQ(project.bisect("alone", "one", "--in-place").culprit(), project.commits()[4]);
  EXPECT_EQ(testing::text_of(most).find_first_not_of("1\n"), std::string::npos) << testing::text_of(most);
  const auto together = project.bisect("together", "other", "-j 3 --in-place");
  EXPECT_EQ(together.culprit(), project.commits()[4]) << together.errors << together.json;
  EXPECT_NE(testing::text_of(most).find_first_not_of("1\n"), std::string::npos) << testing::text_of(most);
}

TEST_F(Workers, KilledLeaveNothingAndNoFinishedTrialIsRepeated) {
  if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();  // nothing ends what is left then
  const std::string number = number_of_its_own("86411");
  const BisectedProject project(folder_, 20, 13, unless_go_sleep(number));
  const std::string before = project.surroundings();
  const pid_t bisect = project.start("killed", "cache", "-j 3");
  // The bad revision over the whole run, then both ends beside one that sleeps.
  ASSERT_TRUE(testing::comes_true([&] { return project.finished("killed") == 3 && sleeps(number); }));
  ::kill(bisect, SIGKILL);
  EXPECT_EQ(project.wait_for(bisect, "killed").code, 128 + SIGKILL);
  EXPECT_TRUE(testing::comes_true([&] { return !sleeps(number); }));
  EXPECT_TRUE(testing::comes_true([&] { return !testing::some_process_has(project.folder_of("killed").string()); }));
  EXPECT_EQ(project.surroundings(), before);
  std::ofstream(go()).flush();
  const auto answer = project.bisect("again", "cache", "-j 3"), whole = project.bisect("whole", "other", "-j 3");
  EXPECT_EQ(answer.culprit(), project.commits()[13]) << answer.errors;
  EXPECT_EQ(answer.rounds(), whole.rounds());
  EXPECT_EQ(project.begun("again") + 3, project.begun("whole")) << "a finished trial was repeated";
  EXPECT_EQ(project.kept("cache"), project.kept("other"));
}

TEST_F(Workers, EndWithTheBisectThatIsAskedToStop) {
  const std::string number = number_of_its_own("86412");
  const BisectedProject project(folder_, 20, 13, unless_go_sleep(number));
  const std::string before = project.surroundings();
  for (const int signal : {SIGTERM, SIGINT}) {
    const std::string name = "stopped" + std::to_string(signal);
    const pid_t bisect = project.start(name, "cache" + std::to_string(signal), "-j 3");
    ASSERT_TRUE(testing::comes_true([&] { return sleeps(number); }));
    ::kill(bisect, signal);
    const auto answer = project.wait_for(bisect, name);
    EXPECT_EQ(answer.code, 128 + signal);
    EXPECT_THAT(answer.errors, HasSubstr("finished trials are kept"));
    EXPECT_FALSE(sleeps(number));
    EXPECT_FALSE(testing::some_process_has(project.folder_of(name).string()));
    EXPECT_EQ(project.surroundings(), before);
  }
}

// In worktrees, where a program can reach its worker.
TEST_F(Workers, ALostOneIsFollowedByAnotherAndSaysNothingOfTheRevision) {
  const std::string dead = (folder_ / "dead").string();
  const BisectedProject once(folder_, 9, 5, "mkdir " + dead + " 2>&- && kill -9 $PPID && sleep 5");
  const auto answer = once.bisect("once", "cache", "-j 2 --in-place");
  EXPECT_EQ(answer.culprit(), once.commits()[5]) << answer.errors;
  EXPECT_EQ(once.begun("once"), once.finished("once") + 1);
}

TEST_F(Workers, LostThreeTimesEndTheBisectWithOneSentence) {
  const BisectedProject always(folder_, 9, 5, "kill -9 $PPID; sleep 5");
  const auto answer = always.bisect("always", "cache", "-j 2 --in-place");
  EXPECT_EQ(answer.code, 2);
  EXPECT_THAT(answer.errors, HasSubstr("ended without an answer: killed by signal 9"));
  EXPECT_THAT(answer.errors, HasSubstr("attempt 3"));
}

TEST_F(Workers, RecordTheGoodRevisionWhereNoRunIsGiven) {
  if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
  const BisectedProject project(folder_, 9, 5);
  const auto answer = project.bisect("recorded", "cache", "-j 2 --steps 20 -- /bin/sh run.sh");
  EXPECT_EQ(answer.culprit(), project.commits()[5]) << answer.errors;
  EXPECT_TRUE(fs::exists(project.folder_of("recorded") / "reference/manifest.json"));
  const auto refused = project.bisect("refused", "cache", "-j 2 -- /bin/false");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.errors, HasSubstr("no step was recorded"));
}

TEST_F(Workers, OnSlurmTakeItsProgramsOrOneSentence) {
  const BisectedProject project(folder_, 3, 1);
  fs::create_directory(folder_ / "bin");
  for (const std::string program : {"git", "sh"})
    fs::create_symlink("/usr/bin/" + program, folder_ / ("bin/" + program));
  const auto answer = project.bisect("slurm", "cache", "--executor slurm", {{"PATH", (folder_ / "bin").string()}});
  EXPECT_EQ(answer.code, 2);
  EXPECT_THAT(answer.errors, HasSubstr("there is no sbatch in PATH"));
  EXPECT_EQ(std::count(answer.errors.begin(), answer.errors.end(), '\n'), 1) << answer.errors;
}

TEST_F(Workers, TakeAtLeastOne) {
  const BisectedProject project(folder_, 3, 1);
  EXPECT_EQ(project.bisect("none", "cache", "-j 0").code, 2);
  const auto misplaced = project.bisect("misplaced", "cache", "--slurm-option time=1");
  EXPECT_EQ(misplaced.code, 2);
  EXPECT_THAT(misplaced.errors, HasSubstr("--executor slurm"));
  EXPECT_EQ(project.bisect("nowhere", "cache", "--executor moon").code, 2);
}

}  // namespace
}  // namespace samestep
