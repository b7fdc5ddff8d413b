// `samestep bisect` as a user meets it: real repositories and trials, of a program that speaks frames.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/bisecting.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Bisecting;
using ::testing::HasSubstr;
using testing::MadeRepository;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(Bisecting, ItsHelpEndsWithAnExampleAndTheExitCodes) {
  EXPECT_EQ(samestep("bisect --help"), 0);
  EXPECT_THAT(out(), HasSubstr("Example:"));
  EXPECT_THAT(out(), HasSubstr("Exit codes:"));
  expect_refused("run", "--good and --bad are required");
}

// The log alone is enough: neither options nor what was kept of earlier trials are needed.
TEST_F(Bisecting, ResumesFromWhatItsLogHolds) {
  const json whole = bisect("run " + ends_ + own_folder());
  EXPECT_EQ(whole["culprit"]["commit"], commits_[5]);
  const std::vector<std::string> all = lines();
  const std::size_t answers = static_cast<std::size_t>(std::count_if(all.begin(), all.end(), is_answer));
  for (std::size_t keep : {std::size_t{5}, all.size() - 4}) {
    fs::remove_all(folder_ / "cache");
    rewrite({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(keep)});
    const std::size_t before = trials_made();
    const auto kept = std::count_if(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(keep), is_answer);
    const json again = bisect(resume());
    EXPECT_EQ(again["culprit"], whole["culprit"]);
    EXPECT_EQ(again["trials"], whole["trials"]);
    EXPECT_EQ(again["logged_answers"], kept);
    const bool window = keep > 5;  // without its line the bad revision is tried over the whole run once more
    EXPECT_EQ(trials_made() - before, answers - static_cast<std::size_t>(kept) + (window ? 0 : 1)) << keep;
    EXPECT_EQ(lines(), all);
  }
}

TEST_F(Bisecting, ALineThatIsTakenOutIsAskedAgainAndNotTakenFromTheCache) {
  const json whole = bisect("run " + ends_ + own_folder());
  std::vector<std::string> edited = lines();
  const auto wrong = std::find_if(edited.begin(), edited.end(), [&](const std::string& line) {
    return line.starts_with("samestep bisect same " + commits_[4]);
  });
  ASSERT_NE(wrong, edited.end());
  edited.erase(wrong);
  rewrite(edited);
  const std::size_t before = trials_made();
  EXPECT_EQ(bisect(resume())["culprit"], whole["culprit"]);
  EXPECT_EQ(trials_made() - before, 1U);
}

// What the older log holds is in no other file until the search has come to it.
TEST_F(Bisecting, AResumeThatIsKilledLosesNoAnswer) {
  const std::string hold = (folder_ / "hold").string(), wait = "while [ -e " + hold + " ]; do sleep 0.1; done # ";
  made_.sh("git checkout -q " + commits_.front());
  for (const char* number : {"1", "2", "3"}) program(wait + number, "");
  const std::string culprit = program(wait + "4", " --edit gradients:12");
  (void)bisect("run --good " + commits_.front() + " --bad " + culprit + own_folder());
  std::vector<std::string> edited = lines();
  const auto answers = std::ranges::count_if(edited, is_answer);
  const auto removed = std::ranges::find_if(
      edited, [&](const std::string& line) { return line.starts_with("samestep bisect diverged " + culprit); });
  ASSERT_NE(removed, edited.end());
  edited.erase(removed);
  rewrite(edited);
  std::ofstream(hold) << "";
  const std::string begun =
      "$(ls " + (folder_ / "bisected/trials").string() + " | wc -l) -gt " + std::to_string(trials_made());
  EXPECT_EQ(samestep("bisect" + resume() + " & until [ " + begun + " ]; do sleep 0.1; done; kill -9 $!; wait $!; true"),
            0);
  fs::remove(hold);
  EXPECT_EQ(std::ranges::count_if(lines(), is_answer), answers - 1) << testing::text_of(log());
  EXPECT_EQ(bisect(resume())["culprit"]["commit"], culprit);
  EXPECT_EQ(std::ranges::count_if(lines(), is_answer), answers) << testing::text_of(log());
}

TEST_F(Bisecting, TwoInOneFolderAreRefused) {
  (void)bisect("run " + ends_ + own_folder());
  const std::string held = "flock -n " + (folder_ / "bisected").string() + " " SAMESTEP_PROGRAM " bisect" + resume();
  EXPECT_EQ(std::system((held + " 2>" + (folder_ / "errors").string() + " >/dev/null").c_str()) >> 8, 2);
  EXPECT_THAT(errors(), HasSubstr("Another samestep bisect is at work in "));
}

TEST_F(Bisecting, AnotherChangeThatTheBadRevisionHasIsSaid) {
  made_.sh("git checkout -q -b twice " + commits_[4]);
  const std::string first = program("# 4", " --edit loss:12"), last = program("# 4", " --edit batch:12");
  const json found = bisect("run --good " + commits_.front() + " --bad " + last);
  EXPECT_EQ(found["culprit"]["commit"], first);
  EXPECT_THAT(found["evidence"].dump(), HasSubstr("the bad revision parts elsewhere at step 12, batch"));
}

TEST_F(Bisecting, ReplaysALogThatLiesElsewhereIntoAFolderOfItsOwn) {
  const json whole = bisect("run " + ends_ + own_folder());
  fs::copy_file(log(), folder_ / "copy.log");
  fs::remove_all(folder_ / "cache");
  const json again = bisect("--resume " + (folder_ / "copy.log").string() + " --folder " + (folder_ / "next").string());
  EXPECT_EQ(again["culprit"], whole["culprit"]);
  EXPECT_FALSE(fs::exists(folder_ / "next/trials")) << "a trial was made again";
  EXPECT_EQ(testing::text_of(folder_ / "next/bisect.log"), testing::text_of(log()));
}

TEST_F(Bisecting, RefusesALogOfAnotherSearch) {
  (void)bisect("run " + ends_ + own_folder());
  expect_refused(resume() + " other", "is of a search against another run than");
  expect_refused(resume() + " --build make", "its trials were made with build unset, and \"make\" is asked for");
  expect_refused(resume() + " --path run.sh", "its trials were made with paths unset");
  expect_refused(resume() + " --first-parent", "between other revisions, or with other options");
  expect_refused(resume() + " --good " + commits_[1], "between other revisions, or with other options");
  expect_refused(resume() + " -- other words", "its trials were made with command unset");
  MadeRepository elsewhere(folder_ / "elsewhere");
  elsewhere.write("run.sh", "exit 0\n");
  elsewhere.commit("another history");
  expect_refused(resume() + " --repo ../elsewhere", "knows no commit");
  expect_refused("--resume " + (folder_ / "nowhere").string(), "there is no log of a search");
  fs::remove_all(made_ / "run");
  fs::rename(made_ / "other", made_ / "run");
  expect_refused(resume(), "is another one than the log's search was made against");
  fs::permissions(log(), fs::perms::group_write, fs::perm_options::add);
  expect_refused(resume(), "others may write to it");
}

TEST_F(Bisecting, ALogWithAnotherWindowIsRefusedWithItsLine) {
  const json whole = bisect("run " + ends_ + own_folder());
  const std::uint64_t from = whole["window"]["from"], to = whole["window"]["to"];
  std::vector<std::string> edited = lines();
  const auto window = std::find_if(edited.begin(), edited.end(),
                                   [](const std::string& line) { return line.starts_with("samestep bisect window "); });
  ASSERT_NE(window, edited.end());
  const std::string at = "bisect.log:" + std::to_string(window - edited.begin() + 1) + ": ";
  *window = "samestep bisect window " + std::to_string(from + 1) + " " + std::to_string(to) + "\n";
  rewrite(edited);
  EXPECT_EQ(samestep("bisect" + resume()), 2);
  EXPECT_THAT(errors(), HasSubstr(at + "the run has no anchor at step " + std::to_string(from + 1)));
  *window = "samestep bisect window " + std::to_string(from) + " 1000\n";
  rewrite(edited);
  EXPECT_EQ(samestep("bisect" + resume()), 2);
  EXPECT_THAT(errors(), HasSubstr(at + "the run does not hold this window"));
}

// The good revision's own recording is the reference then, and is not made again.
TEST_F(Bisecting, ResumesASearchThatBeganWithoutARun) {
  if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
  const json whole = bisect(ends_ + " --steps 20" + own_folder() + " -- /bin/sh run.sh");
  EXPECT_EQ(whole["culprit"]["commit"], commits_[5]);
  const std::vector<std::string> all = lines();
  rewrite({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2)});
  fs::remove_all(folder_ / "cache");
  EXPECT_EQ(bisect(resume())["culprit"], whole["culprit"]);
  EXPECT_THAT(errors(), Not(HasSubstr("recording")));
  EXPECT_EQ(lines(), all);
  expect_refused(resume() + " --steps 5", "its trials were made with steps 20, and 5 is asked for");
}

// A word of a command is any bytes.
TEST_F(Bisecting, ResumesACommandThatIsNoUtf8) {
  const std::string only = "test \"$1\" = \"$(printf '\\377')\" || exit 3 #";
  const std::string good = program(only, ""), bad = program(only, " --edit gradients:12");
  const std::string words = "run --good " + good + " --bad " + bad + own_folder() + " -- /bin/sh run.sh ";
  const json whole = bisect(words + "\"$(printf '\\377')\"");
  EXPECT_EQ(whole["culprit"]["commit"], bad);
  const std::vector<std::string> all = lines();
  rewrite({all.begin(), all.begin() + 6});
  fs::remove_all(folder_ / "cache");
  EXPECT_EQ(bisect(resume())["culprit"], whole["culprit"]);
  EXPECT_EQ(lines(), all);
}

TEST_F(Bisecting, GoesOnWhereItWasInterrupted) {
  const std::string hold = (folder_ / "hold").string(), wait = "while [ -e " + hold + " ]; do sleep 0.1; done # ";
  std::ofstream(hold) << "";
  made_.sh("git checkout -q " + commits_.front());
  for (const char* number : {"1", "2", "3"}) program(wait + number, "");
  const std::string culprit = program("# 4", " --edit gradients:12");
  const std::string words = "run --good " + commits_.front() + " --bad " + culprit + own_folder();
  const std::string third =
      "until [ $(grep -c '^samestep bisect ask' " + log().string() + ") -ge 3 ]; do sleep 0.1; done";
  EXPECT_EQ(samestep("bisect " + words + " & " + third + "; sleep 0.5; kill $!; wait $!"), 128 + SIGTERM) << errors();
  EXPECT_THAT(errors(), HasSubstr("samestep bisect --resume " + (folder_ / "bisected").string()));
  fs::remove(hold);
  fs::remove_all(folder_ / "cache");
  const std::size_t before = trials_made();
  const json found = bisect(resume());
  EXPECT_EQ(found["culprit"]["commit"], culprit);
  EXPECT_EQ(trials_made() - before, found["trials"].get<std::size_t>() - 2) << "the ends were tried before";
}

// And what is drawn for people who watch stays out of pipes.
TEST_F(Bisecting, AsJUnitTheCulpritFailsAndRevisionsThatAreTheSamePass) {
  (void)bisect("run " + ends_ + own_folder() + " --junit " + (folder_ / "report.xml").string());
  EXPECT_THAT(errors(), Not(::testing::AnyOf(HasSubstr("\r"), HasSubstr("\033"))));
  const std::string check = SAMESTEP_PYTHON " " SAMESTEP_CHECK_JUNIT " " + (folder_ / "report.xml").string() + " >" +
                            (folder_ / "read").string() + " 2>&1";
  EXPECT_EQ(std::system(check.c_str()), 0) << testing::text_of(folder_ / "read");
  const std::string read = testing::text_of(folder_ / "read");
  EXPECT_THAT(read, StartsWith("failure conclusion | first divergent commit: " + commits_[5] + " Say <# 5> & more\n"));
  EXPECT_THAT(read, HasSubstr("passed " + commits_[4].substr(0, 12) + " Say <# 4> & more"));
  EXPECT_THAT(read, HasSubstr("failure " + commits_[5].substr(0, 12) +
                              " Say <# 5> & more | diverged at step 12 in gradients, body.weight"));
}

// All commits change run.sh, none of them `note`.
TEST_F(Bisecting, ACulpritOutsideOfThePathsIsShownWithItsDiff) {
  made_.write("note", "x");
  const std::string last = made_.commit("note");
  const json found = bisect("run --good " + commits_.front() + " --bad " + last + " --path note");
  EXPECT_EQ(found["window"].dump(), R"({"from":0,"to":13})");
  EXPECT_EQ(found["culprit"]["commit"], commits_[5]);
  EXPECT_THAT(found["diff"].dump(), HasSubstr("--edit gradients:12"));
  EXPECT_THAT(found["evidence"].dump(), HasSubstr("changed outside of them"));
}

TEST_F(Bisecting, AllChangesWithAGoodEndThatDivergesAreNotAsClaimed) {
  const json found = bisect("run --all --good " + commits_[5] + " --bad " + commits_[7], 3);
  EXPECT_EQ(found["conclusion"], "end_not_as_claimed");
  EXPECT_THAT(found["why"], HasSubstr("no longer reproduces the run"));
}

TEST_F(Bisecting, ADiffDoesNotActOnTheTerminal) {
  made_.sh("git checkout -q -b loud " + commits_[4]);
  made_.write("run.sh", "# \x1b[31mred\nexec " SAMESTEP_FRAMES_TRAINER " --edit gradients:12\n");
  const std::string loud = made_.commit("loud");
  EXPECT_EQ(samestep("bisect run --good " + commits_.front() + " --bad " + loud), 0) << errors();
  EXPECT_THAT(out(), HasSubstr("+# \\x1b[31mred"));
  EXPECT_THAT(out(), Not(HasSubstr("\x1b")));
  EXPECT_EQ(testing::text_of(made_ / "samestep-runs/.gitignore"), "*\n");
}

// --- Kept answers --------------------------------------------------------------------------------------------------

// The program reads a file that is not there when it is recorded: no key of a kept answer can hold it.
class WithKeptAnswers : public Bisecting {
 protected:
  WithKeptAnswers() {
    const std::string edit = "--edit gradients:12",
                      depends = "test \"$RATE\" != 5 && ! test -e override || EDIT='" + edit + "'\n";
    for (const std::string name : {"a", "b", "c", "d"}) {
      made_.write("run.sh", depends + "# " + name + "\nexec " SAMESTEP_FRAMES_TRAINER " " +
                                (name == "d" ? edit : "$EDIT") + "\n");
      later_.push_back(made_.commit(name));
    }
    made_.write(".git/info/exclude", "override\nsamestep-runs\n");
  }
  json between(const std::string& bad, int code, const std::string& more = "") {
    return bisect("run --good " + later_[0] + " --bad " + bad + more, code);
  }
  std::vector<std::string> later_;
};

TEST_F(WithKeptAnswers, AFileThatNoKeyHoldsAccusesNoCommit) {
  EXPECT_EQ(between(later_[3], 0)["culprit"]["commit"], later_[3]);  // the first three are kept as the same
  made_.write("override", "");
  made_.sh("git checkout -q -b other " + later_[0]);
  const std::string text = testing::text_of(made_ / "run.sh");
  made_.write("run.sh", text + "# innocent\n");
  made_.commit("innocent");
  made_.write("run.sh", text + "# innocent, too\n");
  const std::string innocent = made_.commit("innocent, too");
  const json found = bisect("run --good " + later_[0] + " --bad " + innocent, 3);
  EXPECT_EQ(found["culprit"], nullptr);
  EXPECT_EQ(found["kept_answers"], 0);
  EXPECT_THAT(errors(), HasSubstr("something that trials read has changed since"));
}

// What was not installed when an earlier bisect tried is no key either.
TEST_F(WithKeptAnswers, WhatKeptARevisionFromBeingTriedMayHaveBeenMended) {
  const std::string build = " --build 'place=..; test -e $place/header || { echo no header; exit 2; }'";
  EXPECT_EQ(between(later_[3], 2, build)["conclusion"], "untestable");
  std::ofstream(folder_ / "header") << "";
  const json found = between(later_[3], 0, build);
  EXPECT_EQ(found["culprit"]["commit"], later_[3]);
  EXPECT_THAT(errors(), HasSubstr("something that trials read has changed since"));
}

TEST_F(WithKeptAnswers, AFirstBisectHasNone) {
  EXPECT_EQ(between(later_[3], 0)["kept_answers"], 0);
}

TEST_F(WithKeptAnswers, AnotherVariableIsAnotherQuestion) {
  EXPECT_EQ(between(later_[3], 0)["culprit"]["commit"], later_[3]);
  ::setenv("RATE", "5", 1);
  const json found = between(later_[3], 3);
  ::unsetenv("RATE");
  EXPECT_EQ(found["kept_answers"], 0);
  EXPECT_EQ(found["culprit"], nullptr);
  const json again = between(later_[3], 0);
  EXPECT_EQ(again["culprit"]["commit"], later_[3]);
  EXPECT_EQ(again["kept_answers"], again["trials"]);
  EXPECT_EQ(between(later_[3], 0, " --fresh")["kept_answers"], 0);
}

// --- Bad input: one clear sentence each, exit 2 or 3 -----------------------------------------------------------------

TEST_F(Bisecting, EndsThatAreNoneAreRefused) {
  const std::string first = commits_.front(), last = commits_.back();
  expect_refused("run --good nothing --bad " + last, "knows no commit 'nothing'");
  expect_refused("run --good=--help --bad " + last, "knows no commit '--help'");
  expect_refused("run --good " + last + " --bad " + first, "is no ancestor of the bad one");
  expect_refused("run --good " + last + " --bad " + last, "are one commit");
}

TEST_F(Bisecting, ABadEndThatDoesNotDivergeIsNotAsClaimed) {
  const json found = bisect("run --good " + commits_[0] + " --bad " + commits_[4], 3);
  EXPECT_EQ(found["conclusion"], "end_not_as_claimed");
  EXPECT_THAT(found["why"], HasSubstr("the bad revision reproduces the run"));
  EXPECT_EQ(errors().find("around"), std::string::npos) << "the good revision is as claimed: " << errors();
  EXPECT_EQ(found["culprit"], nullptr);
}

TEST_F(Bisecting, ABuildThatNeverSucceedsIsSaidWithItsLastWords) {
  const json found = bisect("run " + ends_ + " --build 'echo no compiler; exit 9'", 2);
  EXPECT_EQ(found["conclusion"], "untestable");
  EXPECT_THAT(found["why"], HasSubstr("neither the good nor the bad revision builds"));
  EXPECT_THAT(found["evidence"][0], HasSubstr("is untestable: it does not build: exited with code 9; no compiler"));
}

TEST_F(Bisecting, AProgramThatNeverStartsIsSaidWithItsLastWords) {
  const json found = bisect("run " + ends_ + " -- /bin/sh -c 'echo no data; exit 4'", 2);
  EXPECT_EQ(found["conclusion"], "untestable");
  EXPECT_THAT(found["evidence"][0], HasSubstr("the program exited with code 4; its output ended: no data"));
}

TEST_F(Bisecting, LocalChangesAreNeitherTriedNorTouched) {
  made_.write("run.sh", "exit 7\n");
  made_.sh("git add run.sh");
  made_.write("run.sh", "exit 8\n");
  const std::string before = made_.sh("git --no-optional-locks status --porcelain=2; git diff; git diff --cached");
  EXPECT_EQ(bisect("run " + ends_ + own_folder())["culprit"]["commit"], commits_[5]);
  EXPECT_EQ(made_.sh("git --no-optional-locks status --porcelain=2; git diff; git diff --cached"), before);
}

TEST_F(Bisecting, StartsNothingOfTheRepositoryAndLeavesTheIndexAsItIs) {
  const std::string started = (folder_ / "started").string();
  made_.sh("git config filter.own.clean 'echo clean >>" + started +
           "; cat' && git config filter.own.smudge 'echo smudge >>" + started +
           "; cat' && echo '* filter=own' >.git/info/attributes && printf '#!/bin/sh\necho hook >>" + started +
           "\n' >.git/hooks/post-index-change && chmod +x .git/hooks/post-index-change && sleep 1 && touch run.sh");
  const std::string before = made_.sh("sha256sum .git/index");
  EXPECT_EQ(bisect("run " + ends_ + own_folder())["culprit"]["commit"], commits_[5]);
  EXPECT_EQ(made_.sh("sha256sum .git/index"), before);
  EXPECT_FALSE(fs::exists(started)) << made_.sh("cat " + started);
  EXPECT_THAT(errors(), HasSubstr("filter.own is set by the repository itself and is not run"));
}

// Its folder is a file system of a few pages, which this test's own namespace has mounted.
TEST_F(Bisecting, AFullDiskIsNoAnswer) {
  if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
  const std::string disk = (folder_ / "disk").string();
  fs::create_directory(disk);
  const std::string line = "cd " + made_.root().string() +
                           " && unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o size=64k none " + disk +
                           " && exec " SAMESTEP_PROGRAM " bisect run " + ends_ + " --folder " + disk + "/bisected' >" +
                           (folder_ / "out").string() + " 2>" + (folder_ / "errors").string();
  const int status =
      std::system(("XDG_CACHE_HOME=" + (folder_ / "cache").string() + "; export XDG_CACHE_HOME; " + line).c_str());
  EXPECT_EQ(WEXITSTATUS(status), 2) << out() << errors();
  EXPECT_THAT(errors(), HasSubstr("No space left on device"));
  EXPECT_EQ(out(), "");
}

// So with the disk that the trials' checkouts lie on.
TEST_F(Bisecting, AFullDiskIsNotBlamedOnARevision) {
  if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
  const std::string disk = (folder_ / "disk").string();
  fs::create_directory(disk);
  const std::string writes = program("head -c 20000000 /dev/zero >big || exit 4", " --edit gradients:12");
  const std::string line = "cd " + made_.root().string() +
                           " && unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o size=12m none " + disk +
                           " && XDG_CACHE_HOME=" + disk + " exec " SAMESTEP_PROGRAM " bisect run --in-place --good " +
                           commits_.front() + " --bad " + writes + own_folder() + "' >" + (folder_ / "out").string() +
                           " 2>" + (folder_ / "errors").string();
  const int status = std::system(line.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 2) << out() << errors();
  EXPECT_THAT(errors(), HasSubstr("where trials are made, is full: make room and start again"));
  EXPECT_EQ(out(), "");
}

}  // namespace
}  // namespace samestep
