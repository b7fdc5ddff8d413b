// The `samestep` program as a user meets it: real processes, real run directories, exit codes, JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "replay/compare/verdict.h"
#include "tests/compare/memory_run.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

using nlohmann::json;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Lt;
using ::testing::Not;
using ::testing::StartsWith;
using testing::WrittenRun;

struct Answer {
  int code = -1;
  std::string out;
  std::string error;
};

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Cli : public ::testing::Test {
 protected:
  Answer samestep(std::string words, const std::string& before = "") {
    // Where this machine allows no view, what is tested here is tested in place.
    if (words.starts_with("replay a") && !testing::view_refusal().empty()) words.insert(8, " --in-place");
    const auto out = folder_ / "stdout";
    const auto error = folder_ / "stderr";
    const std::string line = "cd " + folder_.path().string() + " && " + before + " " SAMESTEP_PROGRAM " " + words +
                             " >" + out.string() + " 2>" + error.string() + " </dev/null";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(out), text_of(error)};
  }
  void write(const std::string& name, WrittenRun run = {}) {
    if (run.argv.front() == "frames_trainer") run.argv.front() = SAMESTEP_FRAMES_TRAINER;
    testing::write(run, folder_ / name);
  }
  static WrittenRun edited(Lane lane, std::uint64_t at) {
    WrittenRun run;
    run.edit = [=](StepRecord& record, const Layout& layout) {
      if (record.step >= at && record.of(lane).status == LaneStatus::captured) testing::spoil(record, lane, 0, layout);
    };
    return run;
  }

  testing::Folder folder_;
};

TEST_F(Cli, EveryHelpEndsWithAnExampleAndTheExitCodes) {
  for (const std::string verb : {"", "record", "replay", "diff", "inspect", "bisect", "doctor", "resume-check"}) {
    const Answer answer = samestep(verb + " --help");
    EXPECT_EQ(answer.code, 0) << verb;
    const std::size_t example = answer.out.find("Example:");
    ASSERT_NE(example, std::string::npos) << verb;
    EXPECT_GT(answer.out.find("Exit codes:"), example) << verb;
  }
}

// Folders of its own to remember digests in, and no Python but the system's, which has few packages.
const std::string apart = "HOME=$PWD XDG_CACHE_HOME=$PWD PATH=/usr/bin:/bin ";

TEST_F(Cli, DoctorNamesWhatIsWrongHereAndTheFix) {
  const Answer answer = samestep("doctor --json", apart + "PYTHONHASHSEED=random");
  EXPECT_EQ(answer.code, 1) << answer.error;
  const json found = json::parse(answer.out);
  ASSERT_FALSE(found["findings"].empty());
  EXPECT_EQ(found["findings"][0]["check"], "hash_seed");
  EXPECT_EQ(found["verdict"], nullptr);
  EXPECT_THAT(samestep("doctor", apart + "PYTHONHASHSEED=random").out, HasSubstr("fix: unset PYTHONHASHSEED"));
  EXPECT_EQ(samestep("doctor", apart + "PYTHONHASHSEED=5").code, 0);
}

TEST_F(Cli, DoctorTriesAProgramTwice) {
  const std::string program = " -- " SAMESTEP_FRAMES_TRAINER " ";
  const Answer same = samestep("doctor --json --steps 5 --save tried" + program, apart);
  EXPECT_EQ(same.code, 0) << same.out << same.error;
  const json found = json::parse(same.out);
  EXPECT_EQ(found["verdict"]["verdict"], "same");
  EXPECT_EQ(found["verdict"]["steps_compared"], 5);
  EXPECT_EQ(found["recordings"].size(), 2U);
  EXPECT_THAT(same.error, Not(HasSubstr("linked statically")));
  EXPECT_THAT(same.error, HasSubstr("comparing the two recordings"));
  const Answer flaky = samestep("doctor" + program + "--noise 2", apart);
  EXPECT_THAT(flaky.out, StartsWith("this program does not repeat itself"));
  EXPECT_THAT(flaky.out, Not(HasSubstr("nothing here keeps")));
  EXPECT_EQ(flaky.code, 3) << flaky.out << flaky.error;
  EXPECT_THAT(flaky.out, HasSubstr("two recordings of the program: flaky (nondeterministic): step 2, loss"));
  EXPECT_THAT(flaky.out, HasSubstr("advice"));
  EXPECT_EQ(samestep("doctor -- /nowhere/program", apart).code, 125);
  EXPECT_EQ(samestep("doctor --steps 0 -- true").code, 2);
}

TEST_F(Cli, VersionNamesFormatAndTorch) {
  const Answer answer = samestep("--version");
  EXPECT_EQ(answer.code, 0);
  EXPECT_THAT(answer.out, HasSubstr("run format 1"));
  EXPECT_THAT(answer.out, HasSubstr("torch"));
}

TEST_F(Cli, AMistakeIsOneLineAndExitTwo) {
  for (const std::string words : {"", "nonsense", "diff", "diff only-one", "inspect nowhere", "diff nowhere elsewhere",
                                  "replay nowhere", "inspect . --no-such-option"}) {
    const Answer answer = samestep(words);
    EXPECT_EQ(answer.code, 2) << words;
    EXPECT_THAT(answer.error, StartsWith("samestep: ")) << words;
    EXPECT_EQ(std::count(answer.error.begin(), answer.error.end(), '\n'), 1) << answer.error;
    EXPECT_EQ(answer.out, "") << words;
  }
}

TEST_F(Cli, NamesTheWordThatIsWrong) {
  EXPECT_THAT(samestep("recrod -- true").error, HasSubstr("no verb 'recrod': record, replay, diff, inspect"));
  EXPECT_THAT(samestep("record --anchr-every 5 -- true").error, HasSubstr("no option --anchr-every"));
  EXPECT_THAT(samestep("record ./trainer --steps 3").error, HasSubstr("goes after --"));
  EXPECT_THAT(samestep("replay run --from -5").error, HasSubstr("--from takes a number from 0 on, not -5"));
  EXPECT_THAT(samestep("bisect -x2 --good a --bad b -- true").error, HasSubstr("no option -x2"));
  EXPECT_THAT(samestep("record --anchor-every=-5 -- true").error, HasSubstr("not -5"));
  EXPECT_EQ(json::parse(samestep("inspect run --json --bogus").out)["verdict"], nullptr);
}

TEST_F(Cli, ANumberThatIsNoneIsRefusedWithWhatIsExpected) {
  const std::string bisect = "bisect --good a --bad b ";
  for (const char* wrong : {"nan", "inf", "0", "soon"}) {
    const std::string expected = std::string("seconds: takes seconds, from 0.001 to 1000000000, not ") + wrong + " ";
    EXPECT_THAT(samestep(bisect + "--seconds " + wrong + " -- true").error, HasSubstr(expected));
    EXPECT_THAT(samestep(bisect + "--build-seconds " + wrong + " -- true").error, HasSubstr(expected));
  }
  EXPECT_THAT(samestep(bisect + "--memory 0GB -- true").error, HasSubstr("from 1 byte on, not 0GB: leave it out"));
  for (const std::string& words : {bisect + "--steps 0 -- true", std::string("doctor --steps 0 -- true"),
                                  std::string("record --detail-every 0 -- true")})
    EXPECT_THAT(samestep(words).error, HasSubstr("takes a whole number from 1 on, not 0 ")) << words;
}

TEST_F(Cli, TheCommandAfterTheDashesIsNotTakenForTheRun) {
  for (const std::string option : {"--requirements a", "--requirements a b", "--environment", "--environment other"}) {
    const std::string error = samestep("bisect " + option + " -- sh train.sh").error;
    const std::string name = option.substr(0, option.find(' '));
    EXPECT_THAT(error, HasSubstr(option == "--requirements a" ? name : name + ": give the run first")) << error;
    EXPECT_THAT(error, Not(HasSubstr("no such"))) << error;
  }
}

// Reading a pipe or a device would never end.
TEST_F(Cli, AShortOptionMayHoldItsValue) {
  for (const char* jobs : {"-j2", "-j 2", "--jobs=2"}) {
    const Answer answer = samestep(std::string("bisect ") + jobs + " --repo /nowhere --good a --bad b -- true");
    EXPECT_THAT(answer.error, HasSubstr("/nowhere")) << jobs;
  }
}

TEST_F(Cli, AManifestThatIsNoFileIsRefused) {
  std::filesystem::create_directory(folder_ / "run");
  ASSERT_EQ(::mkfifo((folder_ / "run/manifest.json").c_str(), 0600), 0);
  EXPECT_THAT(samestep("inspect run").error, HasSubstr("it is no regular file"));
  std::filesystem::remove(folder_ / "run/manifest.json");
  std::filesystem::create_symlink("/dev/zero", folder_ / "run/manifest.json");
  EXPECT_EQ(samestep("inspect run").code, 2);
}

TEST_F(Cli, AnErrorWithJsonIsAnObject) {
  const Answer answer = samestep("diff nowhere elsewhere --json");
  EXPECT_EQ(answer.code, 2);
  EXPECT_TRUE(json::parse(answer.out)["verdict"].is_null());
  EXPECT_THAT(json::parse(answer.out)["error"].get<std::string>(), HasSubstr("nowhere"));
}

TEST_F(Cli, DiffOfEqualRunsIsTheSame) {
  write("a");
  write("b");
  const Answer answer = samestep("diff a b --json");
  EXPECT_EQ(answer.code, 0) << answer.out << answer.error;
  EXPECT_EQ(json::parse(answer.out)["verdict"], "same");
  EXPECT_EQ(json::parse(answer.out)["steps_compared"], 40);
  EXPECT_THAT(samestep("diff a b").out, StartsWith("same: 40 steps compared"));
}

TEST_F(Cli, DiffNamesStepLaneAndTensor) {
  write("a");
  write("b", edited(Lane::gradients, 23));
  const Answer answer = samestep("diff a b --json");
  EXPECT_EQ(answer.code, 1);
  const json verdict = json::parse(answer.out);
  EXPECT_EQ(verdict["verdict"], "diverged");
  EXPECT_EQ(verdict["class"], "backward");
  EXPECT_EQ(verdict["step"], 23);
  EXPECT_EQ(verdict["lane"], "gradients");
  EXPECT_EQ(verdict["tensor"], "body.weight");
  EXPECT_EQ(verdict["reproduce"], "samestep diff a b");
}

TEST_F(Cli, DiffUnderOtherSettingsIsIncomparableUnlessTheyAreIgnored) {
  write("a");
  WrittenRun other = edited(Lane::gradients, 23);
  other.threads = 1;
  write("b", other);
  EXPECT_EQ(samestep("diff a b").code, 3);
  EXPECT_EQ(samestep("diff a b --ignore-environment").code, 1);
}

TEST_F(Cli, DiffNeverCallsAnEditedRunTheSame) {
  write("a");
  write("b");
  const auto log = folder_ / "b/log-r0000-s0000.h5";
  const auto size = std::filesystem::file_size(log);
  for (std::uintmax_t at : {size / 3, size / 2, size - 100}) {
    const std::string whole = text_of(log);
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    std::ofstream(log, std::ios::binary) << damaged;
    EXPECT_THAT(samestep("diff a b").code, ::testing::AnyOf(2, 4)) << at;
    std::ofstream(log, std::ios::binary) << whole;
  }
  EXPECT_EQ(samestep("diff a b").code, 0);
}

TEST_F(Cli, InspectAsJsonHasStepsSegmentsAnchorsEventsChainAndLoss) {
  WrittenRun run;
  run.ended = "killed by signal 9";
  write("a", run);
  const Answer answer = samestep("inspect a --tensors --json");
  ASSERT_EQ(answer.code, 0) << answer.error;
  const json shown = json::parse(answer.out);
  EXPECT_EQ(shown["steps"], 40);
  EXPECT_EQ(shown["segments"].size(), 1U);
  EXPECT_EQ(shown["segments"][0]["ended"], "killed by signal 9");
  EXPECT_TRUE(shown["anchors"].is_array());
  EXPECT_TRUE(shown["events"].is_array());
  EXPECT_EQ(shown["chain"].get<std::string>().size(), 64U);
  EXPECT_EQ(shown["loss"].size(), 40U);
  EXPECT_EQ(shown["loss"][0]["loss"], 3.0);
  EXPECT_EQ(shown["tensors"][1]["name"], "head.weight");
}

// Two optimizers in turn: a step holds no statistics of the other one's tensors. They used to be shown as zeros.
TEST_F(Cli, InspectTakesStatisticsFromTheLastStepThatHasThem) {
  WrittenRun run;
  run.edit = [](StepRecord& record, const Layout& layout) {
    LaneRecord& weights = record.of(Lane::weights_out);
    const std::size_t others = record.step % 2 == 0 ? 0 : 1;
    for (const std::size_t column : {others, std::size_t{2}}) {  // the last one has none at any step
      weights.presence[column] = Presence::absent;
      weights.digests[column] = {};
      if (!weights.summaries.empty()) weights.summaries[column] = {};
    }
    testing::refresh(record, Lane::weights_out, layout);
  };
  write("a", run);
  const json tensors = json::parse(samestep("inspect a --tensors --json").out)["tensors"];
  EXPECT_EQ(tensors[1]["step"], 32);
  EXPECT_EQ(tensors[1]["norm"], 10);
  EXPECT_EQ(tensors[0]["step"], 31);
  EXPECT_EQ(tensors[0]["norm"], 10);
  for (const char* key : {"step", "norm", "max_abs", "nonfinite"}) EXPECT_TRUE(tensors[2][key].is_null()) << key;
  const std::string text = samestep("inspect a --tensors").out;
  EXPECT_THAT(text, HasSubstr("tensors after step 32\n"));
  EXPECT_THAT(text, HasSubstr("max 2           after step 31\n"));
  EXPECT_THAT(text, HasSubstr("norm -           max -\n"));
  EXPECT_THAT(text, Not(HasSubstr("norm 0")));
}

TEST_F(Cli, InspectOfARunWithoutStepsPromisesNoReplay) {
  EXPECT_EQ(samestep("record --run a -- true").code, 0);
  EXPECT_THAT(samestep("inspect a").out, Not(HasSubstr("a replay starts")));
}

TEST_F(Cli, InspectDrawsTheLossInBrailleOrAscii) {
  write("a");
  EXPECT_THAT(samestep("inspect a", "LC_ALL=C.UTF-8").out, HasSubstr("\xe2\xa0"));
  const std::string ascii = samestep("inspect a", "LC_ALL=C").out;
  EXPECT_THAT(ascii, HasSubstr("*"));
  EXPECT_THAT(std::vector<int>(ascii.begin(), ascii.end()), Each(::testing::Ge(0)));
}

TEST_F(Cli, ReplayOfTheRecordedCommandIsTheSameAndLeavesItsFolder) {
  write("a");
  const Answer answer = samestep("replay a --json");
  EXPECT_EQ(answer.code, 0) << answer.out << answer.error;
  EXPECT_EQ(json::parse(answer.out)["verdict"], "same");
  EXPECT_THAT(answer.error, HasSubstr("samestep: replaying"));
  EXPECT_EQ(text_of(folder_ / "samestep-runs/.gitignore"), "*\n");
}

TEST_F(Cli, ReplayGivesWordsAfterTheDashesToTheCommandUnread) {
  write("a");
  const Answer answer = samestep("replay a --to 20 -- " SAMESTEP_FRAMES_TRAINER " --steps 40 --edit batch:7");
  EXPECT_EQ(answer.code, 1) << answer.out << answer.error;
  EXPECT_THAT(answer.out, StartsWith("diverged (batch): step 7, batch, #0"));
}

TEST_F(Cli, ReplaySavedCanBeDiffed) {
  write("a");
  EXPECT_EQ(samestep("replay a --save kept -- " SAMESTEP_FRAMES_TRAINER).code, 0);
  const Answer answer = samestep("diff a kept --json");
  EXPECT_EQ(answer.code, 0) << answer.out << answer.error;
  EXPECT_EQ(json::parse(answer.out)["steps_compared"], 40);
}

TEST_F(Cli, AWindowSavedIsJudgedOnItsSteps) {
  write("a");
  EXPECT_EQ(samestep("replay a --to 20 --save kept").code, 0);
  const Answer answer = samestep("diff a kept --json");
  EXPECT_EQ(answer.code, 0) << answer.out << answer.error;
  EXPECT_EQ(json::parse(answer.out)["steps_compared"], 20);
  EXPECT_THAT(answer.out, HasSubstr("closed after the asked window"));
}

TEST_F(Cli, ReplayOfWhatDoesNotStartExits125) {
  write("a");
  EXPECT_EQ(samestep("replay a -- /nowhere/trainer").code, 125);
}

TEST_F(Cli, RecordLeavesStandardOutputToTheCommandAndPutsJsonIntoAFile) {
  const Answer refused = samestep("record --json - -- true");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.error, HasSubstr("standard output belongs to the command"));
  const Answer answer = samestep("record --json told --anchor-every 10 -- " SAMESTEP_TINY_TRAINER " --say hello");
  EXPECT_EQ(answer.code, 0) << answer.error;
  EXPECT_EQ(answer.out, "hello\n");
  const json told = json::parse(text_of(folder_ / "told"));
  EXPECT_EQ(told["exit_code"], 0);
  EXPECT_EQ(told["ranks"][0]["steps"], 40);
  EXPECT_EQ(told["anchors"], 4);
  EXPECT_EQ(samestep(told["next"].get<std::string>().substr(std::string("samestep ").size())).code, 0);
}

TEST_F(Cli, RecordOfWhatCannotBeStartedSaysSoInJson) {
  EXPECT_EQ(samestep("record --json told -- /nowhere/trainer").code, 127);
  const json told = json::parse(text_of(folder_ / "told"));
  EXPECT_EQ(told["exit_code"], 127);
  EXPECT_TRUE(told["run"].is_null());
}

TEST_F(Cli, StrictIsRecordedAndReplayed) {
  const std::string program = "sh -c 'echo strict=$SAMESTEP_STRICT; exec " SAMESTEP_TINY_TRAINER "'";
  EXPECT_EQ(samestep("record --strict --run a -- " + program).out, "strict=1\n");
  EXPECT_EQ(samestep("replay a --save kept").code, 0);
  EXPECT_EQ(text_of(folder_ / "kept/output.txt"), "strict=1\n");
}

TEST_F(Cli, InspectTellsStepsThatAreHeldTwice) {
  ASSERT_EQ(samestep("record --run a -- " SAMESTEP_TINY_TRAINER " --steps 20").code, 0);
  ASSERT_EQ(samestep("record --run a --continue -- " SAMESTEP_TINY_TRAINER " --steps 30 --back-to 12").code, 0);
  const json shown = json::parse(samestep("inspect a --json").out);
  ASSERT_EQ(shown["overlaps"].size(), 1U);
  EXPECT_EQ(shown["overlaps"][0]["first_step"], 12);
  EXPECT_EQ(shown["overlaps"][0]["steps"], 8);
  EXPECT_TRUE(shown["overlaps"][0]["first_difference"].is_null());
  const Answer text = samestep("inspect a");
  EXPECT_THAT(text.out,
              HasSubstr("twice     steps 12 to 19, in segment 0 and again in segment 1: every root is equal"));
  EXPECT_THAT(text.out, HasSubstr("continued " SAMESTEP_TINY_TRAINER " --steps 30"));
}

// A recording that stands before its step 30 until it is let go on.
class LiveRun : public Cli {
 protected:
  void SetUp() override {
    const std::string line = "cd " + folder_.path().string() +
                             " && exec " SAMESTEP_PROGRAM
                             " record --run live --anchor-every 10 -- " SAMESTEP_TINY_TRAINER
                             " --steps 40 --wait-at 30 go 2>live.err";
    recorder_ = ::fork();
    if (recorder_ == 0) ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    for (int i = 0; i < 1000 && steps_said() < 30; ++i) ::usleep(10000);
    ASSERT_EQ(steps_said(), 30);
  }
  void TearDown() override {
    if (!ended_) end();
  }
  void end() {
    std::ofstream(folder_ / "go") << "on";
    int status = 0;
    ::waitpid(recorder_, &status, 0);
    ended_ = true;
    EXPECT_EQ(status, 0) << text_of(folder_ / "live.err");
  }
  int steps_said() {
    const Answer answer = samestep("inspect live --json");
    return answer.code == 0 ? json::parse(answer.out)["steps"].get<int>() : -1;
  }

  pid_t recorder_ = 0;
  bool ended_ = false;
};

TEST_F(LiveRun, IsInspectedAsFarAsItIs) {
  const Answer text = samestep("inspect live");
  EXPECT_EQ(text.code, 0) << text.error;
  EXPECT_THAT(text.out, HasSubstr("30 steps from 0"));
  EXPECT_THAT(text.out, HasSubstr("still running"));
  const json shown = json::parse(samestep("inspect live --json").out);
  EXPECT_EQ(shown["segments"][0]["steps"], 30);
  EXPECT_EQ(shown["segments"][0]["ended"], "running");
  end();
  EXPECT_EQ(json::parse(samestep("inspect live --json").out)["segments"][0]["ended"], "closed");
}

TEST_F(LiveRun, IsReplayedAsFarAsItIs) {
  const Answer answer = samestep("replay live --json");
  EXPECT_EQ(answer.code, 0) << answer.out << answer.error;
  EXPECT_EQ(json::parse(answer.out)["steps_compared"], 30);
  EXPECT_EQ(json::parse(samestep("replay live --from 24 --json").out)["steps_compared"], 6);
}

TEST_F(LiveRun, IsComparedOnTheStepsThereAre) {
  ASSERT_EQ(samestep("record --run whole -- " SAMESTEP_TINY_TRAINER " --steps 40").code, 0);
  const Answer answer = samestep("diff live whole --json");
  EXPECT_EQ(answer.code, 0) << answer.out << answer.error;
  EXPECT_EQ(json::parse(answer.out)["steps_compared"], 30);
  EXPECT_THAT(answer.out, HasSubstr("(running)"));
}

// Of all processes started and ended so far, in milliseconds: unlike the wall clock, no other load counts.
double child_processor_time() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto milliseconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
}

TEST_F(Cli, StartsInMilliseconds) {
  write("a");
  for (const std::string words : {"--help", "inspect a", "diff a a"}) {
    double best = 1e9;
    for (int i = 0; i < 10; ++i) {
      const double began = child_processor_time();
      ASSERT_EQ(samestep(words).code, 0);
      best = std::min(best, child_processor_time() - began);
    }
    std::printf("samestep %s: %.1f ms of processor time, its shell's included\n", words.c_str(), best);
    EXPECT_LT(best, SAMESTEP_START_LIMIT_MS) << words;
  }
}

}  // namespace
}  // namespace samestep
