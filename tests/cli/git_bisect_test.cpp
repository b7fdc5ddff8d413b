// `git bisect run samestep replay --git-bisect`: real git, real replays. The program that a revision holds is a shell
// script around one that speaks frames.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fstream>

#include "tests/bisect/made_repository.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

using ::testing::HasSubstr;
using testing::MadeRepository;

constexpr int same = 0, diverged = 1, skip = 125, ends = 128;

class GitBisect : public ::testing::Test {
 protected:
  GitBisect() {
    made_.write(".gitignore", "run\nsaid\nsamestep-runs\n");
    testing::WrittenRun run;
    run.argv = {"/bin/sh", "run.sh"};
    testing::write(run, made_ / "run");
  }
  // A commit whose program is this; "$TRAINER" stands for the program that trains.
  std::string program(const std::string& script, const std::string& subject = "program") {
    made_.write("run.sh", "TRAINER=" SAMESTEP_FRAMES_TRAINER "\n" + script + "\n");
    return made_.commit(subject);
  }
  static std::string replay(const std::string& words) {
    const std::string place = testing::view_refusal().empty() ? "" : " --in-place";  // what is tested is the same there
    return SAMESTEP_PROGRAM " replay --git-bisect" + place + " " + words;
  }
  // The exit code of a shell's command in the checkout.
  int code_of(const std::string& command) {
    const std::string line = "cd " + made_.root().string() + " && { " + command + "; } >said 2>&1 </dev/null";
    const int status = std::system(line.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  [[nodiscard]] std::string said() const { return testing::text_of(made_ / "said"); }

  testing::Folder folder_;
  MadeRepository made_{folder_ / "project"};
};

TEST_F(GitBisect, SameIsGoodAndDivergedIsBad) {
  program("exec $TRAINER");
  EXPECT_EQ(code_of(replay("run")), same) << said();
  program("exec $TRAINER --edit loss:9");
  EXPECT_EQ(code_of(replay("run")), diverged) << said();
  EXPECT_THAT(said(), HasSubstr("step 9"));
  EXPECT_EQ(code_of(replay("run --to 9")), same) << said();
}

TEST_F(GitBisect, WhatSaysNothingOfTheRevisionIsSkipped) {
  program("echo no such module; exit 3");
  EXPECT_EQ(code_of(replay("run")), skip) << "it does not start: " << said();
  program("exec $TRAINER --noise 5");
  EXPECT_EQ(code_of(replay("run")), skip) << "it differs from itself: " << said();
  program("exec $TRAINER --threads 1 --edit loss:9");
  EXPECT_EQ(code_of(replay("run")), skip) << "other settings excuse it: " << said();
  EXPECT_EQ(code_of(replay("run --ignore-environment")), diverged) << said();
  program("exec $TRAINER --crash 7");
  EXPECT_EQ(code_of(replay("run")), skip) << "it crashes: " << said();
}

// git takes 1 to 127 but 125 for a revision that is bad: no mistake may end in one of them.
TEST_F(GitBisect, MistakesEndIt) {
  program("exec $TRAINER");
  for (const std::string words : {"run --no-such-option", "", "run --from", "run --from -5", "run --from x", "nowhere",
                                  "run --set OMP_NUM_THREADS", "run --in-place --view /tmp", "run --rank 7"}) {
    EXPECT_EQ(code_of(replay(words)), ends) << words << ": " << said();
  }
  for (const std::string words : {"--git-bisect", "rplay --git-bisect run", "diff --git-bisect run run",
                                  "replay --git-bisect=perhaps run", "replay --git-bisect --help"}) {
    EXPECT_EQ(code_of(SAMESTEP_PROGRAM " " + words), ends) << words << ": " << said();
  }
}

TEST_F(GitBisect, AWindowThatWasNotRecordedEndsIt) {
  program("exec $TRAINER");
  EXPECT_EQ(code_of(replay("run --to 41")), ends);
  EXPECT_THAT(said(), HasSubstr("steps 0 to 40 were asked for, and run holds 0 to 39"));
  EXPECT_EQ(code_of(replay("run --from 40 --to 50")), ends) << said();
  EXPECT_EQ(code_of(replay("run --from 3 --to 3")), ends);
  EXPECT_THAT(said(), HasSubstr("--from 3 and --to 3 ask for no step"));
}

TEST_F(GitBisect, OutsideOfACheckoutItEnds) {
  EXPECT_EQ(code_of("cd ..; GIT_CEILING_DIRECTORIES=$PWD " + replay("project/run")), ends);
  EXPECT_THAT(said(), HasSubstr("not a git repository"));
}

TEST_F(GitBisect, AnAnswerThatCannotBeWrittenEndsIt) {
  program("exec $TRAINER");
  EXPECT_EQ(code_of(replay("run") + " >/dev/full"), ends) << said();
}

TEST_F(GitBisect, ATamperedRunEndsIt) {
  program("exec $TRAINER");
  const auto log = made_ / "run" / "log-r0000-s0000.h5";
  std::string bytes = testing::text_of(log);
  for (std::size_t i = bytes.size() / 2; i < bytes.size() / 2 + 200; ++i) bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
  std::ofstream(log, std::ios::binary) << bytes;
  EXPECT_EQ(code_of(replay("run")), ends) << said();
}

TEST_F(GitBisect, AnInterruptionEndsIt) {
  program("sleep 60");
  EXPECT_EQ(code_of("timeout --preserve-status -s INT 2 " + replay("run")), 128 + SIGINT) << said();
}

// The recording overwrote a file that revisions differ in: what stands there is the revision's.
TEST_F(GitBisect, TrackedFilesAreTheRevisionsAlthoughTheRecordingChangedThem) {
  if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
  made_.write("words", "--steps 40");
  program("W=$(cat words); echo --steps 40 >words; exec $TRAINER $W");
  ASSERT_EQ(code_of(SAMESTEP_PROGRAM " record --run ../recorded -- /bin/sh run.sh"), 0) << said();
  EXPECT_EQ(code_of(replay("../recorded")), same) << said();
  made_.write("words", "--steps 40 --edit loss:9");
  made_.commit("edit");
  EXPECT_EQ(code_of(replay("../recorded")), diverged) << said();
}

// Recorded in one clone, bisected in another: what runs is the one that git checks out.
TEST_F(GitBisect, RunsInTheCheckoutAtHandAndNotWhereItWasRecorded) {
  program("exec $TRAINER");
  ASSERT_EQ(code_of(SAMESTEP_PROGRAM " record --run ../recorded -- /bin/sh run.sh"), 0) << said();
  program("exec $TRAINER --edit loss:9");
  made_.sh("git clone -q . ../clone; git checkout -q HEAD^");
  EXPECT_EQ(code_of(replay("../recorded")), same) << said();
  EXPECT_EQ(code_of("cd ../clone; " + replay("../recorded")), diverged) << said();
}

TEST_F(GitBisect, AWholeBisectEndsAtTheRightCommit) {
  const std::string good = program("exec $TRAINER", "good");
  program("# a remark\nexec $TRAINER", "remark");
  program("exit 3", "break it");
  program("# repaired\nexec $TRAINER", "repair it");
  const std::string culprit = program("exec $TRAINER --edit gradients:12", "swap the betas");
  program("# after\nexec $TRAINER --edit gradients:12", "explain");
  program("# more\nexec $TRAINER --edit gradients:12", "explain more");
  made_.sh("git bisect start HEAD " + good + " >/dev/null");
  const std::string out = made_.sh("git bisect run " + replay("run --from 10 --to 20") + " 2>&1");
  EXPECT_THAT(out, HasSubstr(culprit + " is the first bad commit"));
  EXPECT_THAT(made_.sh("git bisect log"), HasSubstr("# first bad commit: [" + culprit + "] swap the betas"));
}

TEST_F(GitBisect, AMistakeEndsAWholeBisectWithoutAnAnswer) {
  const std::string good = program("exec $TRAINER", "good");
  program("# 1\nexec $TRAINER");
  program("# 2\nexec $TRAINER");
  program("exec $TRAINER --edit loss:9");
  made_.sh("git bisect start HEAD " + good + " >/dev/null");
  EXPECT_NE(code_of("git bisect run " + replay("run --form 10")), 0);
  EXPECT_THAT(said(), HasSubstr("exit code 128"));
  EXPECT_THAT(said(), ::testing::Not(HasSubstr("first bad commit")));
}

}  // namespace
}  // namespace samestep
