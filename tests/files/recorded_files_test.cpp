// What a recording keeps of files, and what its replay makes of them: the samestep program, /bin/sh, and a program that
// speaks frames.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "replay/player/recorded_files.h"
#include "replay/run/error.h"
#include "replay/run/manifest.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class RecordedFilesOf : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(work() / "sub"); }

  [[nodiscard]] fs::path work() const { return folder_ / "work"; }
  // Runs `samestep` in the work folder; its exit code. `before`: of the shell, what stands before its name.
  int samestep(const std::string& words, const std::string& before = "</dev/null") {
    const std::string line = "cd '" + work().string() + "' && " + before + " " SAMESTEP_PROGRAM " " + words + " >'" +
                             (folder_ / "out").string() + "' 2>'" + (folder_ / "err").string() + "'";
    return WEXITSTATUS(std::system(line.c_str()));
  }
  // The script, then the program with `words`.
  void record(const std::string& script, const std::string& words = "", const std::string& options = "") {
    std::ofstream(folder_ / "script.sh") << script << "\nexec " SAMESTEP_FRAMES_TRAINER " " << words << "\n";
    ASSERT_EQ(samestep("record --run ../run " + options + " -- sh ../script.sh"), 0) << text_of(folder_ / "err");
  }
  int replay(const std::string& options = "") {
    const std::string save = "../replay" + std::to_string(++replays_);
    return samestep("replay ../run --json --save " + save + " " + options);
  }
  [[nodiscard]] std::string printed() const {
    return text_of(folder_ / ("replay" + std::to_string(replays_)) / "output.txt");
  }
  [[nodiscard]] json answer() const { return json::parse(text_of(folder_ / "out"), nullptr, false); }
  [[nodiscard]] json what() const { return read_manifest(folder_ / "run").what; }
  // The entry of a list for a file of the work folder; null where there is none.
  [[nodiscard]] json entry(const json& list, const std::string& name) const {
    for (const json& file : list)
      if (file["path"] == (fs::canonical(work()) / name).string()) return file;
    return nullptr;
  }
  [[nodiscard]] static bool has_views() { return testing::view_refusal().empty(); }

  testing::Folder folder_;
  int replays_ = 0;
};
#define SKIP_WITHOUT_VIEWS() \
  if (!has_views()) GTEST_SKIP() << "no views here: " << testing::view_refusal()

TEST_F(RecordedFilesOf, ARecordingStandInItsManifest) {
  for (const char* name : {"data", "old", "gone", "sub/deep", "both"}) std::ofstream(work() / name) << name << "\n";
  fs::create_symlink("data", work() / "link");
  record(
      "cat data sub/deep > made; echo more >> old; rm gone; mv made renamed; mkdir new; echo x > new/file; rm link; "
      "cat both; echo x > both; echo x > temporary; rm temporary");
  const json reads = what()["reads"], writes = what()["writes"];
  EXPECT_TRUE(entry(reads["files"], "data")["digest"].is_string()) << reads;
  EXPECT_EQ(entry(reads["files"], "sub/deep")["size"], 9);
  EXPECT_TRUE(entry(reads["files"], "both").is_null()) << "its copy vouches for it";
  EXPECT_EQ(entry(writes["made"], "renamed")["type"], "file") << writes;
  EXPECT_EQ(entry(writes["made"], "new")["type"], "folder");
  EXPECT_TRUE(entry(writes["made"], "new/file").is_null()) << "its folder says it";
  EXPECT_TRUE(entry(writes["made"], "temporary").is_null());
  EXPECT_EQ(text_of(folder_ / "run" / entry(writes["changed"], "old")["saved"].get<std::string>()), "old\n");
  EXPECT_EQ(entry(writes["changed"], "gone")["removed"], true);
  EXPECT_EQ(text_of(folder_ / "run" / entry(writes["changed"], "gone")["saved"].get<std::string>()), "gone\n");
  EXPECT_EQ(entry(writes["changed"], "link")["target"], "data");
  EXPECT_THAT(writes["folders"], Contains(fs::canonical(work()).string()));
  EXPECT_THAT(what()["unseen"], IsEmpty());
}

TEST_F(RecordedFilesOf, AFileOpenedForWritingAndLeftAloneIsNotKept) {
  std::ofstream(work() / "log") << "old\n";
  record(": >> log");
  EXPECT_THAT(what()["writes"]["changed"], IsEmpty());
  EXPECT_FALSE(fs::exists(folder_ / "run/inputs"));
}

// "Resume if a checkpoint exists" went another way in the replay of a run that had made one.
TEST_F(RecordedFilesOf, WhatTheRecordingMadeIsHiddenInAReplay) {
  SKIP_WITHOUT_VIEWS();
  const std::string script =
      "if [ -e out/last ]; then echo resumed; else echo fresh; fi; mkdir -p out; echo x > out/last";
  record(script);
  EXPECT_EQ(replay(), 0) << text_of(folder_ / "out") << text_of(folder_ / "err");
  EXPECT_THAT(printed(), HasSubstr("fresh\n"));
  EXPECT_TRUE(fs::exists(work() / "out/last"));
  EXPECT_EQ(replay("--show out"), 0);
  EXPECT_THAT(printed(), HasSubstr("resumed\n"));
}

TEST_F(RecordedFilesOf, WhatTheRecordingChangedStandsInItsOldPlace) {
  SKIP_WITHOUT_VIEWS();
  std::ofstream(work() / "last") << "first\n";
  std::ofstream(work() / "gone") << "there\n";
  fs::permissions(work() / "gone", fs::perms(0640));
  fs::create_symlink("first target", work() / "link");
  record(
      "cat last gone; readlink link; stat -c %a gone; echo second > last.tmp; mv last.tmp last; rm gone; "
      "ln -sfn other link");
  EXPECT_EQ(text_of(work() / "last"), "second\n");
  EXPECT_EQ(replay("--keep-output ../kept"), 0) << text_of(folder_ / "out") << text_of(folder_ / "err");
  EXPECT_THAT(printed(), HasSubstr("first\nthere\nfirst target\n640\n"));
  EXPECT_EQ(text_of(work() / "last"), "second\n");
  EXPECT_FALSE(fs::exists(work() / "gone"));
  EXPECT_EQ(text_of(folder_ / ("kept" + (fs::canonical(work()) / "last").string())), "second\n");
}

// An edit of a file that the recording rewrote was undone without a word, and the answer was `same`.
TEST_F(RecordedFilesOf, WhatWasWrittenSinceToAFileThatIsPutBackIsNotProven) {
  SKIP_WITHOUT_VIEWS();
  std::ofstream(work() / "config") << "lr 1\n";
  record("cat config > config.new; echo seen >> config.new; mv config.new config");
  EXPECT_EQ(replay(), 0) << text_of(folder_ / "err");
  EXPECT_THAT(answer()["limits"].dump(), Not(HasSubstr("config")));
  std::ofstream(work() / "config") << "lr 9\n";
  EXPECT_EQ(replay(), 0) << text_of(folder_ / "err");
  EXPECT_THAT(answer()["limits"].dump(), HasSubstr("--show " + (fs::canonical(work()) / "config").string()));
  EXPECT_EQ(replay("--show config"), 0);
  EXPECT_THAT(answer()["limits"].dump(), Not(HasSubstr("config"))) << "that is what was tried";
}

TEST_F(RecordedFilesOf, ADivergenceAtTheFirstStepNamesWhatWasPutBack) {
  SKIP_WITHOUT_VIEWS();
  std::ofstream(work() / "state") << "1\n";
  record("cat state; echo 2 > state");
  EXPECT_EQ(replay("-- sh -c 'echo 2 > state; exec " SAMESTEP_FRAMES_TRAINER " --edit loss:0'"), 1)
      << text_of(folder_ / "err");
  EXPECT_THAT(answer()["evidence"].dump(), HasSubstr("time of change (ctime)"));
  EXPECT_THAT(answer()["evidence"].dump(), HasSubstr((fs::canonical(work()) / "state").string()));
}

// What it had changed by then is known all the same.
TEST_F(RecordedFilesOf, ARecordersThatWasKilledArePutBack) {
  SKIP_WITHOUT_VIEWS();
  std::ofstream(work() / "log") << "first\n";
  std::ofstream(folder_ / "script.sh")
      << "cat log; echo run >> log; test -z $KILL || (sleep 1; kill -9 $PPID) & exec " SAMESTEP_FRAMES_TRAINER
         " --linger $KILL";
  EXPECT_NE(samestep("record --run ../run -- env KILL=3 sh ../script.sh"), 0);
  const json writes = what()["writes"];
  ASSERT_TRUE(entry(writes["changed"], "log").is_object()) << what();
  EXPECT_EQ(replay("-- env KILL= sh ../script.sh"), 0) << text_of(folder_ / "out") << text_of(folder_ / "err");
  EXPECT_THAT(printed(), HasSubstr("first\n"));
  EXPECT_THAT(printed(), Not(HasSubstr("run\n")));
  EXPECT_EQ(text_of(work() / "log"), "first\nrun\n") << "the user's own";
}

// As make does: what is older than its source is made again, and then it is not.
TEST_F(RecordedFilesOf, ATimeThatTheRecordingSetIsTheOldOneInAReplay) {
  SKIP_WITHOUT_VIEWS();
  for (const char* name : {"raw", "stamp"}) std::ofstream(work() / name) << name << "\n";
  fs::last_write_time(work() / "stamp", fs::file_time_type::clock::now() - std::chrono::hours(1));
  record("if [ raw -nt stamp ]; then echo older; else echo newer; fi; touch -c stamp");
  EXPECT_EQ(text_of(folder_ / "run" / entry(what()["writes"]["changed"], "stamp")["saved"].get<std::string>()),
            "stamp\n");
  EXPECT_EQ(replay(), 0) << text_of(folder_ / "out") << text_of(folder_ / "err");
  EXPECT_THAT(printed(), HasSubstr("older\n"));
}

TEST_F(RecordedFilesOf, AModeThatTheRecordingSetIsTheOldOneInAReplay) {
  SKIP_WITHOUT_VIEWS();
  std::ofstream(work() / "tool") << "x\n";
  fs::permissions(work() / "tool", fs::perms(0640));
  record("stat -c 'mode %a' tool; chmod 700 tool");
  EXPECT_EQ(entry(what()["writes"]["changed"], "tool")["mode"], 0640) << what()["writes"];
  EXPECT_EQ(replay(), 0) << text_of(folder_ / "out") << text_of(folder_ / "err");
  EXPECT_THAT(printed(), HasSubstr("mode 640\n"));
  EXPECT_EQ(fs::status(work() / "tool").permissions(), fs::perms(0700)) << "the user's own";
}

// What a program reads from its standard input is in no file: a replay without it found nothing to train on.
TEST_F(RecordedFilesOf, AStandardInputThatIsMissingIsSaid) {
  const std::string in_place = has_views() ? "" : " --in-place", command = " -- sh ../script.sh";
  std::ofstream(folder_ / "script.sh") << "read words && exec " SAMESTEP_FRAMES_TRAINER " $words\n";
  std::ofstream(work() / "option") << "--steps 12\n";
  ASSERT_EQ(samestep("record --run ../run" + command, "cat option |"), 0) << text_of(folder_ / "err");
  EXPECT_EQ(what()["standard_input"], json({{"kind", "pipe"}}));
  EXPECT_NE(samestep("replay ../run" + in_place), 0);
  EXPECT_THAT(text_of(folder_ / "err"), HasSubstr("standard input was a pipe, and a run does not keep what came"));
  EXPECT_EQ(samestep("replay ../run" + in_place, "cat option |"), 0) << text_of(folder_ / "err");
  EXPECT_THAT(text_of(folder_ / "err"), Not(HasSubstr("standard input")));
  ASSERT_EQ(samestep("record --run ../other" + command, "<option"), 0);
  EXPECT_EQ(samestep("diff --json ../run ../other"), 0);
  EXPECT_THAT(text_of(folder_ / "out"), Not(HasSubstr("standard_input")));
  EXPECT_NE(samestep("replay ../other" + in_place), 0);
  EXPECT_THAT(text_of(folder_ / "err"),
              HasSubstr("standard input was the file " + (fs::canonical(work()) / "option").string()));
}

TEST_F(RecordedFilesOf, AFolderThatTheRecordingWroteToIsLaidOver) {
  SKIP_WITHOUT_VIEWS();
  const fs::path elsewhere = fs::path("/var/tmp") / ("samestep-test-" + std::to_string(::getpid()));
  fs::create_directories(elsewhere);
  record("test ! -e " + elsewhere.string() + "/log || exit 3; echo x > " + elsewhere.string() + "/log");
  EXPECT_EQ(replay(), 0) << text_of(folder_ / "out") << text_of(folder_ / "err");
  EXPECT_EQ(text_of(elsewhere / "log"), "x\n");
  fs::remove_all(elsewhere);
}

// The program says nothing of it; the library does.
TEST_F(RecordedFilesOf, ARefusedWriteIsNamedAlthoughTheProgramIsSilent) {
  SKIP_WITHOUT_VIEWS();
  const fs::path elsewhere = fs::path("/var/tmp") / ("samestep-test-" + std::to_string(::getpid()));
  fs::create_directories(elsewhere);
  record("");
  const std::string file = (elsewhere / "log").string();
  EXPECT_EQ(replay("-- sh -c 'touch " + file + " 2>/dev/null; exec " SAMESTEP_FRAMES_TRAINER "'"), 0);
  EXPECT_THAT(answer()["evidence"].dump(), HasSubstr("a write to " + file + " was refused"));
  EXPECT_THAT(answer()["evidence"].dump(), HasSubstr("--view " + elsewhere.string() + " allows it"));
  fs::remove_all(elsewhere);
}

TEST_F(RecordedFilesOf, AFileThatChangedSinceIsASuspect) {
  std::ofstream(work() / "option") << "--steps 40";
  record("words=$(cat option)", "$words");
  std::ofstream(work() / "option") << "--edit loss:5";
  EXPECT_EQ(replay(has_views() ? "" : "--in-place"), 1) << text_of(folder_ / "out");
  const std::string file = (fs::canonical(work()) / "option").string();
  EXPECT_THAT(answer()["suspects"].dump(), HasSubstr(file + " changed"));
  EXPECT_THAT(text_of(folder_ / "err"), HasSubstr("changed since the recording: " + file));
}

// A seed or a rate edited in place often keeps the size.
TEST_F(RecordedFilesOf, AFileOfEqualSizeThatChangedSinceIsToldBeforeTheStart) {
  std::ofstream(work() / "option") << "--edit loss:35";
  std::ofstream(work() / "touched") << "equal";
  record("words=$(cat option touched >/dev/null; cat option)", "$words");
  std::ofstream(work() / "option") << "--edit loss:25";
  std::ofstream(work() / "touched") << "equal";
  fs::last_write_time(work() / "touched", fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_EQ(replay(has_views() ? "" : "--in-place"), 1) << text_of(folder_ / "out");
  const std::string file = (fs::canonical(work()) / "option").string();
  EXPECT_THAT(text_of(folder_ / "err"), HasSubstr("changed since the recording: " + file + " has other contents"));
  EXPECT_THAT(text_of(folder_ / "err"), ::testing::Not(HasSubstr("touched has other contents")));
}

TEST_F(RecordedFilesOf, AChangeBeyondTheBudgetIsSaid) {
  SKIP_WITHOUT_VIEWS();
  std::ofstream(work() / "last") << "first\n";
  record("echo second > last", "", "--input-budget 3");
  EXPECT_TRUE(entry(what()["writes"]["changed"], "last")["saved"].is_null());
  EXPECT_EQ(replay(), 0);
  EXPECT_THAT(text_of(folder_ / "err"),
              HasSubstr("last was changed by the recording and no copy was kept: beyond the"));
}

TEST_F(RecordedFilesOf, AnEditedCopyIsTampered) {
  SKIP_WITHOUT_VIEWS();
  std::ofstream(work() / "last") << "first\n";
  record("echo second > last");
  std::ofstream(folder_ / "run" / entry(what()["writes"]["changed"], "last")["saved"].get<std::string>()) << "evil!\n";
  EXPECT_EQ(replay(), 4) << text_of(folder_ / "out") << text_of(folder_ / "err");
}

TEST_F(RecordedFilesOf, ACopyThatWasMadeVeryLongIsRefusedWithoutReadingIt) {
  SKIP_WITHOUT_VIEWS();
  std::ofstream(work() / "last") << "first\n";
  record("echo second > last");
  fs::resize_file(folder_ / "run" / entry(what()["writes"]["changed"], "last")["saved"].get<std::string>(), 1ULL << 42);
  EXPECT_EQ(replay(), 4) << text_of(folder_ / "out") << text_of(folder_ / "err");
  EXPECT_THAT(text_of(folder_ / "out"), HasSubstr("states 6 bytes of this copy, it has 4398046511104"));
}

// A file that is put back can be code: another user's run must not bring any.
TEST_F(RecordedFilesOf, OfAnotherUsersRunNothingIsTaken) {
  SKIP_WITHOUT_VIEWS();
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  std::ofstream(work() / "train.sh") << "echo evil\n";
  record("echo 'echo mine' > train.sh");
  ASSERT_EQ(::chown((folder_ / "run/manifest.json").c_str(), 65534, 65534), 0);
  EXPECT_EQ(replay("-- sh -c 'sh train.sh; exec " SAMESTEP_FRAMES_TRAINER "'"), 0) << text_of(folder_ / "err");
  EXPECT_THAT(printed(), HasSubstr("mine\n"));
  EXPECT_THAT(text_of(folder_ / "err"), HasSubstr("the run is another user's"));
}

TEST_F(RecordedFilesOf, AProgramWithoutTheLibraryIsSaidToBeUnseen) {
  std::ofstream(folder_ / "script.sh") << "exec env -u LD_PRELOAD " SAMESTEP_FRAMES_TRAINER "\n";
  ASSERT_EQ(samestep("record --run ../run -- sh ../script.sh"), 0);
  EXPECT_THAT(what()["unseen"], Contains("frames_trainer"));
  EXPECT_THAT(text_of(folder_ / "err"), HasSubstr("which files frames_trainer reads and writes is not seen"));
}

TEST_F(RecordedFilesOf, NothingIsWatchedWhereThatWasAsked) {
  record("cat ../script.sh > copy; echo \"preload ${LD_PRELOAD-none}\"", "", "--no-files");
  EXPECT_FALSE(what().contains("reads"));
  EXPECT_THAT(text_of(folder_ / "out"), HasSubstr("preload none"));
}

// --- Manifests from somebody else -------------------------------------------------------------------------------

json writes_of(const json& made, const json& changed = json::array(), const json& folders = json::array()) {
  return {{"writes", {{"made", made}, {"changed", changed}, {"folders", folders}, {"left_out", 0}}}};
}

TEST(HostileFiles, PathsThatLeadAstrayAreRefused) {
  for (const char* path : {"relative", "/a/../../etc/passwd", "/a/./b", "", "/a//b"})
    EXPECT_THROW((void)recorded_files(writes_of({{{"path", path}, {"type", "file"}}}), ".", {}), BrokenInput) << path;
  EXPECT_THROW((void)recorded_files(writes_of({{{"path", 7}}}), ".", {}), BrokenInput);
  EXPECT_THROW((void)recorded_files({{"writes", 7}}, ".", {}), BrokenInput);
  EXPECT_THROW((void)recorded_files(writes_of("text"), ".", {}), BrokenInput);
}

TEST(HostileFiles, CopiesOutsideOfTheRunAreRefused) {
  const testing::Folder folder;
  fs::create_directory(folder / "run");
  std::ofstream(folder / "secret") << "x";
  fs::create_symlink(folder / "secret", folder / "run/link");
  for (const char* saved : {"../secret", "/etc/passwd", "link", "missing"}) {
    const json changed{{{"path", "/a/b"},
                        {"type", "file"},
                        {"size", 1},
                        {"mtime_ns", 0},
                        {"mode", 420},
                        {"saved", saved},
                        {"digest", std::string(64, '0')}}};
    EXPECT_THROW((void)recorded_files(writes_of(json::array(), changed), folder / "run", {}), BrokenInput) << saved;
  }
}

TEST(HostileFiles, FoldersOfTheSystemAreNotLaidOver) {
  const RecordedFiles files = recorded_files(
      writes_of(json::array(), json::array(), {"/", "/proc", "/dev", "/sys/fs", "/nowhere", "/var/tmp"}), ".", {});
  EXPECT_THAT(files.folders, ::testing::ElementsAre(fs::path("/var/tmp")));
}

}  // namespace
}  // namespace samestep
