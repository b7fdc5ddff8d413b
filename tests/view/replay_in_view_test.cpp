// Whole replays in views: a written run, a shell script around a program that speaks frames.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "replay/player/player.h"
#include "replay/run/error.h"
#include "replay/view/places.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::WrittenRun;

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class ReplayInAView : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(elsewhere());
    if (testing::view_refusal().empty()) return;
    WrittenRun run;
    run.argv = {SAMESTEP_FRAMES_TRAINER};
    testing::write(run, folder_ / "run");
    EXPECT_THROW((void)replay(options()), BrokenInput);
    EXPECT_FALSE(fs::exists(folder_ / "replay")) << "a refused view left a folder";
    GTEST_SKIP() << "no views here: " << testing::view_refusal();
  }
  void TearDown() override { fs::remove_all(elsewhere()); }

  // Outside of everything a view lays over by itself.
  [[nodiscard]] static fs::path elsewhere() {
    return fs::path("/var/tmp") / ("samestep-test-" + std::to_string(::getpid()));
  }
  ReplayOptions options() {
    ReplayOptions options;
    options.run = folder_ / "run";
    options.save = folder_ / "replay";
    options.say = [this](const std::string& line) { said_ += line + "\n"; };
    return options;
  }
  // A run of `script`, in which $TRAINER stands for the program; its folder is the test's.
  void record(const std::string& script, const std::string& words = "") {
    WrittenRun run;
    run.argv = {"/bin/sh", "-c", script + "\nexec " SAMESTEP_FRAMES_TRAINER " " + words};
    testing::write(run, folder_ / "run");
  }

  testing::Folder folder_;
  std::string said_;
};

TEST_F(ReplayInAView, OfAScriptThatDeletesItsOwnFolderLeavesTheUsersFilesAsTheyWere) {
  std::ofstream(folder_ / "data") << "mine\n";
  fs::create_directory(folder_ / "checkpoints");
  std::ofstream(folder_ / "checkpoints/last") << "weights\n";
  record("rm -rf ./* && mkdir checkpoints && echo other > checkpoints/last && test ! -e data || exit 3");
  const ReplayAnswer answer = replay(options());
  EXPECT_EQ(answer.verdict.outcome, Outcome::same) << answer.verdict;
  EXPECT_EQ(text_of(folder_ / "data"), "mine\n");
  EXPECT_EQ(text_of(folder_ / "checkpoints/last"), "weights\n");
  EXPECT_THAT(said_, HasSubstr("in a view: what it writes to "));
}

TEST_F(ReplayInAView, AWriteOutsideOfItIsNamedWithTheOptionThatAllowsIt) {
  const fs::path file = elsewhere() / "log.txt";
  record("cd . && echo x > '" + file.string() + "' || exit 3");
  const ReplayAnswer answer = replay(options());
  EXPECT_EQ(exit_code(answer), 125);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("exited with code 3")));
  ReplayOptions allowed = options();
  allowed.save = folder_ / "again";
  allowed.view = {elsewhere()};
  const ReplayAnswer again = replay(allowed);
  EXPECT_EQ(again.verdict.outcome, Outcome::same) << again.verdict;
  EXPECT_THAT(again.verdict.reproduce, HasSubstr("--view " + elsewhere().string()));
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(ReplayInAView, AWriteThatTheProgramSpeaksOfIsNamed) {
  const fs::path file = elsewhere() / "log.txt";
  record("touch '" + file.string() + "' || exit 3");
  const ReplayAnswer answer = replay(options());
  EXPECT_THAT(answer.verdict.evidence, Contains(AllOf(HasSubstr("a write to " + file.string() + " was refused"),
                                                      HasSubstr("--view " + elsewhere().string() + " allows it"))));
}

TEST_F(ReplayInAView, InPlaceWhatIsWrittenStays) {
  record("echo x > made; echo x > '" + (elsewhere() / "made").string() + "'");
  ReplayOptions in_place = options();
  in_place.in_place = true;
  const ReplayAnswer answer = replay(in_place);
  EXPECT_EQ(answer.verdict.outcome, Outcome::same) << answer.verdict;
  EXPECT_TRUE(fs::exists(folder_ / "made"));
  EXPECT_TRUE(fs::exists(elsewhere() / "made"));
  EXPECT_THAT(said_, Not(HasSubstr("in a view")));
  EXPECT_THAT(answer.verdict.reproduce, HasSubstr("--in-place"));
}

TEST_F(ReplayInAView, KeepsWhatWasWrittenOnRequest) {
  record("mkdir out && echo weights > out/last");
  ReplayOptions keeping = options();
  keeping.keep_output = folder_ / "kept";
  EXPECT_EQ(replay(keeping).verdict.outcome, Outcome::same);
  EXPECT_EQ(text_of(folder_ / ("kept" + (fs::canonical(folder_.path()) / "out/last").string())), "weights\n");
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  keeping.save = folder_ / "again";
  EXPECT_THROW((void)replay(keeping), BrokenInput) << "it wrote over what was kept";
}

// A file that the first replay uses up is there again for the second: in place they would differ, and be called flaky.
TEST_F(ReplayInAView, ASecondReplayFindsTheFolderAsTheFirstDid) {
  std::ofstream(folder_ / "corrupt") << "now";
  record("", "--once " + (folder_ / "corrupt").string() + ":9");
  const ReplayAnswer answer = replay(options());
  EXPECT_EQ(answer.verdict.outcome, Outcome::diverged) << answer.verdict;
  EXPECT_EQ(answer.verdict.step, 9U);
  EXPECT_TRUE(fs::exists(folder_ / "corrupt"));
}

TEST_F(ReplayInAView, TheProgramsOutputAndTheSavedRunLieOutside) {
  record("echo words");
  EXPECT_EQ(replay(options()).verdict.outcome, Outcome::same);
  EXPECT_THAT(text_of(folder_ / "replay/output.txt"), HasSubstr("words\n"));
  EXPECT_TRUE(fs::exists(folder_ / "replay/manifest.json"));
}

bool some_process_has(const std::string& word) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error))
    if (text_of(entry.path() / "cmdline").find(word) != std::string::npos) return true;
  return false;
}

template <class Condition>
bool comes_true(const Condition& condition) {
  for (int i = 0; i < 600 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return condition();
}

pid_t start_samestep(const fs::path& run, const fs::path& save) {
  std::vector<std::string> words{SAMESTEP_PROGRAM, "replay", run.string(), "--save", save.string()};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  return ::posix_spawn(&pid, SAMESTEP_PROGRAM, nullptr, nullptr, argv.data(), environ) == 0 ? pid : -1;
}

TEST_F(ReplayInAView, AKilledSamestepLeavesNoProcessAndNoMount) {
  const std::string word = "86400." + std::to_string(::getpid());  // of a sleep that nobody else has
  record("sleep " + word + " & sleep " + word);
  const std::size_t mounts = mounts_here().size();
  const pid_t samestep = start_samestep(folder_ / "run", folder_ / "replay");
  ASSERT_GT(samestep, 0);
  const auto sleeps = [&] { return some_process_has("sleep" + std::string(1, '\0') + word); };
  EXPECT_TRUE(comes_true(sleeps)) << text_of(folder_ / "replay/output.txt");
  ::kill(samestep, SIGKILL);
  ::waitpid(samestep, nullptr, 0);
  EXPECT_TRUE(comes_true([&] { return !sleeps(); }));
  EXPECT_EQ(mounts_here().size(), mounts);
}

TEST_F(ReplayInAView, ASignalToStopReachesTheCommand) {
  const std::string word = "86401." + std::to_string(::getpid());
  record("trap 'echo told; exit 4' TERM; sleep " + word + " & wait");
  const pid_t samestep = start_samestep(folder_ / "run", folder_ / "replay");
  ASSERT_GT(samestep, 0);
  EXPECT_TRUE(comes_true([&] { return some_process_has("sleep" + std::string(1, '\0') + word); }));
  ::kill(samestep, SIGTERM);
  int status = 0;
  ::waitpid(samestep, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 125);
  EXPECT_EQ(text_of(folder_ / "replay/output.txt"), "told\n");
}

}  // namespace
}  // namespace samestep
