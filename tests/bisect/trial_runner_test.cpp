// Whole trials of real revisions: the program that a revision holds is a shell script around one that speaks frames.
#include "bisect/trial_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "replay/run/error.h"
#include "replay/view/places.h"
#include "tests/bisect/made_repository.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::MadeRepository;

// In views, and in worktrees as where there are none.
class ATrial : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!in_worktrees() && !testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
    made_.write(".gitignore", "run\nbuilt\ndata\n");
    testing::WrittenRun run;
    run.argv = {"/bin/sh", "run.sh"};
    testing::write(run, made_ / "run");
  }

  [[nodiscard]] static bool in_worktrees() { return GetParam(); }
  // A commit whose program is this; "$TRAINER" stands for the program that trains.
  std::string program(const std::string& script) {
    made_.write("run.sh", "TRAINER=" SAMESTEP_FRAMES_TRAINER "\n" + script + "\n");
    return made_.commit("program");
  }
  TrialSettings settings() {
    TrialSettings settings;
    settings.replay.run = made_ / "run";
    settings.replay.say = [this](const std::string& line) { said_ += line + "\n"; };
    settings.folder = folder_ / "trials";
    settings.cache = folder_ / "cache";
    settings.worktrees = in_worktrees();
    return settings;
  }
  TrialAnswer ask(const std::string& commit, const TrialSettings& settings) {
    const Repository repository(made_.root());
    TrialRunner runner(repository, settings);
    return runner.ask(commit);
  }
  TrialAnswer ask(const std::string& commit) { return ask(commit, settings()); }
  std::string outside() const {
    return made_.sh(
        "git --no-optional-locks status --porcelain=2 --branch --ignored; git worktree list; ls -A .git; "
        "find . -path ./.git -prune -o -printf '%p %s %t\\n' | sort");
  }
  std::size_t trials_made() const {
    std::error_code error;
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_ / "trials", error), fs::directory_iterator()));
  }

  testing::Folder folder_;
  MadeRepository made_{folder_ / "project"};
  std::string said_;
};

INSTANTIATE_TEST_SUITE_P(InViewsAndInWorktrees, ATrial, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "InAWorktree" : "InAView"; });

TEST_P(ATrial, AnswersSameDivergedFlakyOrUntestable) {
  const std::string good = program("exec $TRAINER"), bad = program("exec $TRAINER --edit loss:9"),
                    noisy = program("exec $TRAINER --noise 5"), broken = program("echo no such module; exit 3"),
                    crashing = program("exec $TRAINER --crash 7"), short_one = program("exec $TRAINER --steps 20");
  const std::string before = outside();
  const Repository repository(made_.root());
  TrialRunner runner(repository, settings());
  EXPECT_EQ(runner.in_views(), !in_worktrees());
  const TrialAnswer same = runner.ask(good);
  EXPECT_EQ(same.outcome, TrialOutcome::same) << same.why;
  EXPECT_EQ(same.steps_replayed, 40U);
  const TrialAnswer diverged = runner.ask(bad);
  EXPECT_EQ(diverged.outcome, TrialOutcome::diverged) << diverged.why;
  EXPECT_EQ(diverged.step, 9U);
  EXPECT_EQ(diverged.lane, Lane::loss);
  EXPECT_EQ(runner.ask(noisy).outcome, TrialOutcome::flaky);
  const TrialAnswer untestable = runner.ask(broken);
  EXPECT_EQ(untestable.outcome, TrialOutcome::untestable);
  EXPECT_THAT(untestable.why, HasSubstr("exited with code 3"));
  EXPECT_EQ(runner.ask(crashing).outcome, TrialOutcome::untestable) << "a crash is no other training";
  EXPECT_EQ(runner.ask(short_one).step, 20U) << "training that ends earlier is";
  EXPECT_EQ(outside(), before);
}

TEST_P(ATrial, ReplaysTheWindowAlone) {
  const std::string bad = program("exec $TRAINER --edit loss:9");
  const Repository repository(made_.root());
  TrialRunner runner(repository, settings());
  runner.look_at({0, 9});
  EXPECT_EQ(runner.ask(bad).outcome, TrialOutcome::same);
  runner.look_at({0, 10});
  EXPECT_EQ(runner.ask(bad).outcome, TrialOutcome::diverged) << "the window is part of the question";
}

TEST_P(ATrial, OverTheWholeRunTellsWhatTheRevisionDoes) {
  const std::string one = program("exec $TRAINER --edit loss:9"), other = program("exec $TRAINER --edit loss:30"),
                    same = program("# other words\nexec $TRAINER --edit loss:9");
  TrialSettings whole = settings();
  whole.whole = true;
  const Repository repository(made_.root());
  TrialRunner runner(repository, whole);
  const TrialAnswer first = runner.ask(one);
  EXPECT_EQ(first.step, 9U);
  EXPECT_EQ(first.behaviour.size(), 64U);
  EXPECT_EQ(runner.ask(same).behaviour, first.behaviour);
  EXPECT_NE(runner.ask(other).behaviour, first.behaviour);
  EXPECT_EQ(ask(one).behaviour, "");
}

TEST_P(ATrial, BuildsEachRevisionOnceInItsOwnFolder) {
  made_.write("build.sh", "echo building; cat source > built; test ! -s broken || { echo no compiler; exit 2; }\n");
  made_.write("source", "--steps 40");
  made_.write("broken", "");
  const std::string good = program("exec $TRAINER $(cat built)");
  made_.write("source", "--edit loss:3");
  const std::string bad = program("exec $TRAINER $(cat built)");
  made_.write("broken", "x");
  const std::string unbuilt = program("exec $TRAINER");
  std::ofstream(made_ / "built") << "--exit 9";  // of another revision, and in the way
  TrialSettings building = settings();
  building.build = "sh build.sh";
  const Repository repository(made_.root());
  TrialRunner runner(repository, building);
  EXPECT_EQ(runner.ask(good).outcome, TrialOutcome::same);
  EXPECT_EQ(runner.ask(bad).step, 3U);
  const TrialAnswer untestable = runner.ask(unbuilt);
  EXPECT_EQ(untestable.outcome, TrialOutcome::untestable);
  EXPECT_EQ(untestable.why, "it does not build: exited with code 2; building; no compiler");
  EXPECT_EQ(testing::text_of(made_ / "built"), "--exit 9");
}

// ccache fails a build where it can write neither its cache nor its temporary files; a fake needs what it needs.
TEST_P(ATrial, ItsBuildTakesFromACompilerCacheThatItCannotWrite) {
  const std::string good = program("exec $TRAINER");
  TrialSettings building = settings();
  building.build = "echo object > \"${CCACHE_TEMPDIR:?}/samestep-object\" && test \"$CCACHE_READONLY\" = true";
  if (in_worktrees()) building.build = "test -z \"$CCACHE_READONLY$CCACHE_TEMPDIR\"";
  EXPECT_EQ(ask(good, building).outcome, TrialOutcome::same) << ask(good, building).why;
  EXPECT_FALSE(fs::exists("/tmp/samestep-object"));
}

TEST_P(ATrial, IsEndedAtItsLimits) {
  const std::string slow = program("sleep 1000 & sleep 1000");
  TrialSettings limited = settings();
  limited.replay.limits.time = std::chrono::milliseconds(700);
  EXPECT_THAT(ask(slow, limited).why, HasSubstr("stopped after 0.7 s, its time limit"));
  limited.build = "sleep 1000";
  limited.build_limits.time = std::chrono::milliseconds(300);
  EXPECT_THAT(ask(slow, limited).why, HasSubstr("does not build: stopped after 0.3 s"));
  limited.build = "hoard=$(head -c 60000000 /dev/zero | tr '\\0' x); sleep 1000";
  limited.build_limits = {std::chrono::minutes(2), std::uint64_t{30} << 20};
  EXPECT_THAT(ask(slow, limited).why, HasSubstr("31457280 bytes, its memory limit"));
  EXPECT_FALSE(fs::exists(folder_ / "cache")) << "what a busy machine made of a revision was kept";
}

TEST_P(ATrial, AnAnswerIsKeptForTheSameQuestionAndAskingAgainIsANewTrial) {
  const std::string good = program("exec $TRAINER");
  {
    const Repository repository(made_.root());
    TrialRunner runner(repository, settings());
    EXPECT_EQ(runner.ask(good).steps_replayed, 40U);
    EXPECT_EQ(runner.ask(good).steps_replayed, 40U) << "a second sample";
  }
  EXPECT_EQ(trials_made(), 2U);
  made_.sh("git commit -q --allow-empty -m reworded");
  const Repository repository(made_.root());
  TrialRunner later(repository, settings());
  const TrialAnswer known = later.ask(repository.commit("HEAD"));
  EXPECT_EQ(known.outcome, TrialOutcome::same);
  EXPECT_EQ(known.steps_replayed, 0U);
  EXPECT_EQ(later.ask(repository.commit("HEAD")).steps_replayed, 0U);
  EXPECT_EQ(later.ask(repository.commit("HEAD")).steps_replayed, 40U) << "a third one was never made";
  TrialSettings other = settings();
  other.build = "true";
  EXPECT_EQ(ask(good, other).steps_replayed, 40U);
  EXPECT_EQ(said_.find("cannot be used"), std::string::npos) << said_;
}

TEST_P(ATrial, OnOtherMachinesOrWithOtherBytesInItsCommandIsANewQuestion) {
  const std::string good = program("exec $TRAINER");
  TrialSettings asked = settings();
  asked.replay.command = {"/bin/sh", "run.sh", "\xff"};
  EXPECT_EQ(ask(good, asked).steps_replayed, 40U);
  EXPECT_EQ(ask(good, asked).steps_replayed, 0U);
  TrialSettings other_bytes = asked, other_machines = asked;
  other_bytes.replay.command.back() = "\xfe";
  EXPECT_EQ(ask(good, other_bytes).steps_replayed, 40U);
  other_machines.machines = "slurm";
  EXPECT_EQ(ask(good, other_machines).steps_replayed, 40U);
}

// Whoever edits the checkout meanwhile would have the trial see half of another revision.
TEST_P(ATrial, AnInputThatChangesMeanwhileMakesItUntestable) {
  if (in_worktrees()) return;
  made_.write("config", "1");
  const std::string good = program("echo waiting; sleep 1; exec $TRAINER");
  const auto change_when_it_waits = [&] {
    const fs::path output = folder_ / ("trials/001-" + good.substr(0, 12)) / "replay/output.txt";
    for (int i = 0; i < 600 && testing::text_of(output).empty(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::ofstream(made_ / "config") << "22";
  };
  std::thread editor;
  {
    sigset_t all, before;  // signals are the main thread's
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    editor = std::thread(change_when_it_waits);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  const TrialAnswer answer = ask(good);
  editor.join();
  EXPECT_EQ(answer.outcome, TrialOutcome::untestable);
  EXPECT_THAT(answer.why, HasSubstr("config changed while the trial ran"));
  EXPECT_EQ(ask(good).outcome, TrialOutcome::same) << "it was kept";
}

TEST_P(ATrial, OfDataThatIsAnotherSinceIsANewQuestion) {
  made_.write("data", "1");
  Manifest manifest = read_manifest(made_ / "run");
  manifest.what["reads"] = {{"files", {{{"path", (made_ / "data").string()}}}}};
  write_manifest(made_ / "run", manifest);
  const std::string good = program("exec $TRAINER");
  EXPECT_EQ(ask(good).steps_replayed, 40U);
  EXPECT_EQ(ask(good).steps_replayed, 0U);
  made_.write("data", "22");
  EXPECT_EQ(ask(good).steps_replayed, 40U);
}

bool some_process_has(const std::string& word) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error))
    if (testing::text_of(entry.path() / "cmdline").find(word) != std::string::npos) return true;
  return false;
}

template <class Condition>
bool comes_true(const Condition& condition) {
  for (int i = 0; i < 400 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return condition();
}

constexpr int interrupted = 77;

class AnInterruptedTrial : public ATrial {
 protected:
  // A process that tries `commit`; it ends with `interrupted` where the trial said so.
  pid_t start(const std::string& commit, const TrialSettings& settings) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    try {
      (void)ask(commit, settings);
    } catch (const TrialInterrupted& end) {
      ::_exit(end.signal() == SIGTERM ? interrupted : 1);
    }
    ::_exit(0);
  }
  static int status_of(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status;
  }
};

INSTANTIATE_TEST_SUITE_P(InViewsAndInWorktrees, AnInterruptedTrial, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "InAWorktree" : "InAView"; });

TEST_P(AnInterruptedTrial, EndsAtOnceLeavesNothingAndIsNotKept) {
  const std::string word = "86402." + std::to_string(::getpid()) + (in_worktrees() ? "1" : "0");
  const std::string good = program("trap '' TERM; sleep " + word + " & sleep " + word);
  const std::string before = outside();
  const auto sleeps = [&] { return some_process_has("sleep" + std::string(1, '\0') + word); };
  TrialSettings building = settings();
  building.build = "sleep " + word;
  for (const TrialSettings& each : {settings(), building}) {
    const pid_t pid = start(good, each);
    ASSERT_TRUE(comes_true(sleeps));
    ::kill(pid, SIGTERM);
    const int status = status_of(pid);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == interrupted) << status;
    EXPECT_TRUE(comes_true([&] { return !sleeps(); }));
  }
  EXPECT_EQ(outside(), before);
  EXPECT_FALSE(fs::exists(folder_ / "cache")) << "it was kept";
}

TEST_P(AnInterruptedTrial, KilledLeavesNoProcessMountOrWorktree) {
  if (in_worktrees()) return;  // without namespaces nothing ends what a killed process leaves
  const std::string word = "86403." + std::to_string(::getpid());
  const std::string good = program("sleep " + word + " & sleep " + word);
  const std::string before = outside();
  const std::size_t mounts = mounts_here().size();
  const auto sleeps = [&] { return some_process_has("sleep" + std::string(1, '\0') + word); };
  const pid_t pid = start(good, settings());
  ASSERT_TRUE(comes_true(sleeps));
  ::kill(pid, SIGKILL);
  (void)status_of(pid);
  EXPECT_TRUE(comes_true([&] { return !sleeps(); }));
  EXPECT_EQ(mounts_here().size(), mounts);
  EXPECT_EQ(outside(), before);
}

}  // namespace
}  // namespace samestep
