// What `record` leaves behind, however the command ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "replay/checkpoint/safetensors.h"
#include "replay/run/run_files.h"
#include "replay/run/run_reader.h"
#include "tests/recorder/recording.h"

namespace samestep::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

TEST(Record, KeepsEveryStepAndClosesTheLog) {
  Recording recording;
  EXPECT_EQ(recording.record({"--steps", "50"}), 0) << recording.said;
  const RunReader run(recording.run());
  EXPECT_EQ(run.first_step(), 0u);
  EXPECT_EQ(run.end_step(), 50u);
  run.check_integrity();
  const Manifest manifest = recording.manifest();
  ASSERT_THAT(manifest.segments, SizeIs(1));
  EXPECT_EQ(manifest.segments[0].ended, "closed");
  EXPECT_EQ(manifest.segments[0].chain, run.chain(49));
  EXPECT_TRUE(manifest.segments[0].digest.has_value());
  EXPECT_THAT(recording.acknowledged(), SizeIs(50));
}

TEST(Record, SaysAFirstAndALastLineAndNothingElse) {
  Recording recording;
  recording.record({"--steps", "20"});
  EXPECT_EQ(lines_of(recording.said), 2u) << recording.said;
  EXPECT_THAT(recording.said, HasSubstr("samestep: recording to "));
  EXPECT_THAT(recording.said, HasSubstr("samestep: recorded 20 steps in "));
  EXPECT_THAT(recording.said, HasSubstr("next: samestep replay "));
}

TEST(Record, TellsWhatRan) {
  Recording recording;
  recording.record({"--steps", "3"});
  const nlohmann::json what = recording.manifest().what;
  EXPECT_EQ(what["argv"][0], FRAME_CHILD);
  EXPECT_EQ(what["cwd"], recording.folder.path().string());
  EXPECT_EQ(what["command_ended"], "exited with code 0");
  EXPECT_TRUE(what["revision"].is_null());
  EXPECT_GT(what["ended_ns"].get<std::int64_t>(), what["began_ns"].get<std::int64_t>());
  const auto& files = what["files"];
  const auto program = std::ranges::find_if(files, [](const auto& file) { return file["role"] == "program"; });
  ASSERT_NE(program, files.end());
  EXPECT_EQ((*program)["digest"], digest(MappedFile(std::filesystem::path(FRAME_CHILD)).bytes()).hex());
}

TEST(Record, KeepsNoSecretOfTheEnvironment) {
  Recording recording;
  ::setenv("SOME_SERVICE_TOKEN", "hunter2", 1);
  ::setenv("NCCL_AUTH_KEY", "hunter3", 1);
  ::setenv("OMP_SCHEDULE", "static", 1);
  recording.record({"--steps", "1"});
  const std::string manifest = text_of(recording.run() / "manifest.json");
  EXPECT_THAT(manifest, HasSubstr("SOME_SERVICE_TOKEN"));
  EXPECT_THAT(manifest, Not(HasSubstr("hunter")));
  EXPECT_EQ(recording.manifest().what["environment"]["values"]["OMP_SCHEDULE"], "static");
}

TEST(Record, ExitsWithTheCommandsOwnCode) {
  Recording recording;
  EXPECT_EQ(recording.record({"--steps", "5", "--end", "exit", "--value", "3"}), 3);
  EXPECT_EQ(recording.manifest().segments.at(0).ended, "exited with code 3");
  EXPECT_EQ(recording.manifest().what["command_ended"], "exited with code 3");
}

TEST(Record, TellsWhichSignalKilledTheCommand) {
  for (const int signal : {SIGKILL, SIGTERM, SIGSEGV, SIGINT}) {
    Recording recording;
    EXPECT_EQ(recording.record({"--steps", "5", "--end", "kill", "--value", std::to_string(signal)}), 128 + signal);
    const std::string how = "killed by signal " + std::to_string(signal);
    EXPECT_EQ(recording.manifest().segments.at(0).ended, how);
    EXPECT_THAT(recording.events("kill"), SizeIs(1));
    EXPECT_EQ(RunReader(recording.run()).end_step(), 5u);
  }
}

TEST(Record, KnowsOfADeathAlthoughAWorkerHoldsTheSocket) {
  Recording recording;
  EXPECT_EQ(recording.record({"--steps", "5", "--worker", "--end", "kill", "--value", "9"}), 137);
  EXPECT_EQ(recording.manifest().segments.at(0).ended, "killed by signal 9");
}

TEST(Record, TellsHowAGrandchildEnded) {
  Recording recording;
  Words words{RECORD_PROGRAM,
              "--run",
              recording.run().string(),
              "--",
              "/bin/sh",
              "-c",
              std::string(FRAME_CHILD) + " --steps 4 --end kill --value 9; exit 5"};
  Process process(words, recording.folder);
  EXPECT_EQ(process.wait(), 5);
  // Kernels before 6.15 tell nobody but the parent.
  EXPECT_THAT(recording.manifest().segments.at(0).ended, ::testing::AnyOf("killed by signal 9", "lost"));
  EXPECT_EQ(RunReader(recording.run()).end_step(), 4u);
}

TEST(Record, WaitsForATrainerLeftInTheBackground) {
  Recording recording;
  Words words{RECORD_PROGRAM,
              "--run",
              recording.run().string(),
              "--",
              "/bin/sh",
              "-c",
              std::string(FRAME_CHILD) + " --steps 30 --sleep-us 10000 & sleep 0.1"};
  Process process(words, recording.folder);
  EXPECT_EQ(process.wait(), 0);
  EXPECT_EQ(RunReader(recording.run()).end_step(), 30u);
  EXPECT_EQ(recording.manifest().segments.at(0).ended, "closed");
}

TEST(Record, SaysWhenNobodyConnected) {
  Folder folder;
  Process process({RECORD_PROGRAM, "--", "/bin/true"}, folder);
  EXPECT_EQ(process.wait(), 0);
  EXPECT_THAT(process.error(), HasSubstr("recorded 0 steps"));
  EXPECT_THAT(process.error(), HasSubstr("no process connected while the command ran: is it linked with samestep"));
}

TEST(Record, TellsAPythonUserOfPyTorchAndThePackage) {
  Folder folder;
  const std::string python = (folder / "python3").string();
  std::filesystem::create_symlink("/bin/false", python);
  Process process({RECORD_PROGRAM, "--", python, "-W", "error", "nope.py"}, folder);
  EXPECT_EQ(process.wait(), 1);
  EXPECT_THAT(process.error(), HasSubstr("the command exited with code 1; no training step of PyTorch was seen: is the "
                                         "package samestep installed"));
  EXPECT_THAT(process.error(), Not(HasSubstr("linked")));
  EXPECT_THAT(process.error(), HasSubstr("-nope.py"));
}

TEST(Record, TellsAPythonUserOfTheOptionThatSwitchesTheHookOff) {
  Folder folder;
  const std::string python = (folder / "python3").string();
  std::filesystem::create_symlink("/bin/true", python);
  Process process({RECORD_PROGRAM, "--", python, "-u", "-I", "train.py"}, folder);
  EXPECT_EQ(process.wait(), 0);
  EXPECT_THAT(process.error(), HasSubstr("with -I Python starts without the hook that records"));
}

// All pins set by the user: it used to say "recording to nbrun with ".
TEST(Record, SaysNoWithWhereItSetNothing) {
  Folder folder;
  Process first({RECORD_PROGRAM, "--run", (folder / "a").string(), "--", "/bin/true"}, folder);
  EXPECT_EQ(first.wait(), 0);
  const Manifest manifest = read_manifest(folder / "a");
  Process again({RECORD_PROGRAM, "--run", (folder / "b").string(), "--", "/bin/true"}, folder, [&] {
    for (const auto& pin : manifest.what["pins"])
      if (pin["value"].is_string())
        ::setenv(pin["name"].get<std::string>().c_str(), pin["value"].get<std::string>().c_str(), 1);
  });
  EXPECT_EQ(again.wait(), 0);
  EXPECT_THAT(again.error(), Not(HasSubstr(" with \n")));
}

TEST(Record, PutsRunsWhereGitDoesNotSeeThem) {
  Folder folder;
  Process(Words{RECORD_PROGRAM, "--", "/bin/true"}, folder).wait();
  EXPECT_EQ(text_of(folder / "samestep-runs" / ".gitignore"), "*\n");
}

TEST(Record, AnswersAsAShellDoesForAMissingCommand) {
  Folder folder;
  Process missing({RECORD_PROGRAM, "--run", (folder / "run").string(), "--", "/no/such/program"}, folder);
  EXPECT_EQ(missing.wait(), 127);
  EXPECT_THAT(missing.error(), HasSubstr("cannot start '/no/such/program'"));
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  std::ofstream(folder / "plain") << "text";
  Process plain({RECORD_PROGRAM, "--", (folder / "plain").string()}, folder);
  EXPECT_EQ(plain.wait(), 126);
}

TEST(Record, RunsAScriptWithoutAFirstLine) {
  Folder folder;
  std::ofstream(folder / "script") << "exit 7\n";
  std::filesystem::permissions(folder / "script", std::filesystem::perms::owner_all);
  EXPECT_EQ(Process({RECORD_PROGRAM, "--", (folder / "script").string()}, folder).wait(), 7);
}

TEST(Record, LeavesStandardInputAndOutputToTheCommand) {
  Folder folder;
  std::ofstream(folder / "input") << "from the user\n";
  Process process({RECORD_PROGRAM, "--", "/bin/cat"}, folder,
                  [&] { (void)!std::freopen((folder / "input").c_str(), "r", stdin); });
  process.wait();
  EXPECT_EQ(process.output(), "from the user\n");
}

TEST(Record, RefusesARunThatIsThere) {
  Recording recording;
  recording.record({"--steps", "5"});
  const std::string before = text_of(recording.run() / "manifest.json");
  EXPECT_EQ(recording.record({"--steps", "5"}), 2);
  EXPECT_THAT(recording.said, HasSubstr("--continue"));
  EXPECT_EQ(text_of(recording.run() / "manifest.json"), before);
}

TEST(Record, DoesNotStartTheCommandWhereTheRunCannotBeMade) {
  Folder folder;
  std::ofstream(folder / "file") << "in the way";
  Process process({RECORD_PROGRAM, "--run", (folder / "file" / "run").string(), "--", "/bin/touch", "started"}, folder);
  EXPECT_EQ(process.wait(), 2);
  EXPECT_EQ(lines_of(process.error()), 1u) << process.error();
  EXPECT_FALSE(std::filesystem::exists(folder / "started"));
}

// --- Several segments -------------------------------------------------------------------------------------------

TEST(RecordSegments, ANewTableOfTensorsBeginsTheNext) {
  Recording recording;
  recording.record({"--steps", "20", "--new-layout-at", "12"});
  ASSERT_THAT(recording.manifest().segments, SizeIs(2));
  EXPECT_EQ(recording.manifest().segments[1].first_step, 12u);
  const RunReader run(recording.run());
  EXPECT_EQ(run.end_step(), 20u);
  EXPECT_EQ(run.layout(19).of(Lane::weights_in).size(), run.layout(0).of(Lane::weights_in).size() + 1);
  run.check_integrity();
}

TEST(RecordSegments, AListThatOutgrowsItsRoomBeginsTheNext) {
  Recording recording;
  recording.record({"--steps", "20", "--more-items-at", "7"});
  EXPECT_THAT(recording.manifest().segments, SizeIs(2));
  const RunReader run(recording.run());
  EXPECT_THAT(run.record(7).of(Lane::batch).items, SizeIs(20));
  run.check_integrity();
}

TEST(RecordSegments, AFullOneBeginsTheNext) {
  Recording recording;
  EXPECT_EQ(recording.record({"--steps", "8010", "--parameters", "1"}, {"--log-budget", "1000"}), 0);
  const Manifest manifest = recording.manifest();
  const SegmentEntry& last = manifest.segments.back();
  EXPECT_EQ(manifest.segments.at(manifest.segments.size() - 2).steps, 8000u);
  EXPECT_EQ(last.first_step + last.steps, 8010u);
  RunReader(recording.run()).check_integrity();
}

TEST(RecordSegments, ThinTheirDetailWhenTheLogPassesItsBudget) {
  Recording recording;
  recording.record({"--steps", "80"}, {"--log-budget", "200000"});
  EXPECT_THAT(recording.said, HasSubstr("the log has passed 200.0 kB"));
  const RunReader run(recording.run());
  EXPECT_EQ(run.end_step(), 80u);
  EXPECT_TRUE(run.record(79).of(Lane::gradients).digests.empty());
  run.check_integrity();
}

TEST(RecordSegments, SeveralRanksHaveLogsOfTheirOwn) {
  Recording recording;
  std::string script;
  for (int rank = 0; rank < 3; ++rank)
    script += std::string(FRAME_CHILD) + " --steps 40 --seed " + std::to_string(rank) + " --rank " +
              std::to_string(rank) + " & ";
  Process process({RECORD_PROGRAM, "--run", recording.run().string(), "--", "/bin/sh", "-c", script + "wait"},
                  recording.folder);
  EXPECT_EQ(process.wait(), 0) << process.error();
  for (std::uint32_t rank = 0; rank < 3; ++rank) {
    const RunReader run(recording.run(), rank);
    EXPECT_EQ(run.end_step(), 40u);
    run.check_integrity();
  }
}

TEST(RecordSegments, TwoTrainersThatBothSayRankZeroAreKeptApart) {
  Recording recording;
  const std::string child = std::string(FRAME_CHILD) + " --steps 40 --sleep-us 5000 & ";
  Process process({RECORD_PROGRAM, "--run", recording.run().string(), "--", "/bin/sh", "-c", child + child + "wait"},
                  recording.folder);
  EXPECT_EQ(process.wait(), 0);
  EXPECT_EQ(RunReader(recording.run(), 0).end_step(), 40u);
  EXPECT_EQ(RunReader(recording.run(), 1).end_step(), 40u);
  EXPECT_THAT(recording.events("rank"), SizeIs(1));
}

// It took the rank above, for the recorder still waited to learn how the first one had died.
TEST(RecordSegments, ARestartAtOnceKeepsItsRank) {
  Recording recording;
  const std::string script = "for i in $(seq 0 19); do " + std::string(FRAME_CHILD) +
                             " --steps 3 --starts-after $((3 * i)) --worker --end kill --value 9; done; true";
  Process process({RECORD_PROGRAM, "--run", recording.run().string(), "--", "/bin/sh", "-c", script}, recording.folder);
  EXPECT_EQ(process.wait(), 0);
  EXPECT_TRUE(recording.events("rank").empty());
  EXPECT_THAT(recording.manifest().segments, SizeIs(20));
  const RunReader run(recording.run());
  EXPECT_EQ(run.end_step(), 60u);
  run.check_integrity();
}

// Records /bin/sh -c `script`; what was said.
std::string said_of(const Recording& recording, const std::string& script) {
  Process process({RECORD_PROGRAM, "--run", recording.run().string(), "--", "/bin/sh", "-c", script}, recording.folder);
  EXPECT_EQ(process.wait(), 0) << process.error();
  return process.error();
}

// The last line gave a chain of zeros, and a next command that found no step.
TEST(RecordSegments, TheLastLineNamesTheLowestRankThatHasSteps) {
  Recording recording;
  const std::string child = FRAME_CHILD;
  const std::string said = said_of(
      recording, child + " --steps 0; " + child + " --steps 5 --rank 2; " + child + " --steps 7 --rank 3 --seed 3");
  EXPECT_THAT(said, HasSubstr("chain " + RunReader(recording.run(), 2).chain(4).hex().substr(0, 16) + " of rank 2;"));
  EXPECT_THAT(said, HasSubstr("--rank 2\n"));
}

TEST(RecordSegments, AClientWithoutAStepFreesItsRank) {
  for (const std::string end : {"bye", "silent", "kill --value 9"}) {
    Recording recording;
    const std::string child = FRAME_CHILD;
    const std::string said = said_of(recording, child + " --steps 0 --end " + end + "; " + child + " --steps 5");
    EXPECT_EQ(RunReader(recording.run(), 0).end_step(), 5u) << end;
    EXPECT_TRUE(recording.events("rank").empty()) << end;
    EXPECT_THAT(said, Not(HasSubstr("rank"))) << end;
  }
}

// A client that sends what cannot be ended the recording of all: it passed for a broken disk.
TEST(RecordFailure, ABrokenClientEndsItsOwnRecordingOnly) {
  for (const std::string broken : {"--wrong-step-at", "--endless-batch-at"}) {
    Recording recording;
    const std::string child = std::string(FRAME_CHILD) + " --steps 60 --sleep-us 2000 ";
    Process process({RECORD_PROGRAM, "--run", recording.run().string(), "--", "/bin/sh", "-c",
                     child + "--rank 0 & " + child + "--rank 1 " + broken + " 20 & wait"},
                    recording.folder);
    EXPECT_EQ(process.wait(), 0);
    EXPECT_EQ(RunReader(recording.run(), 0).end_step(), 60u) << process.error();
    EXPECT_EQ(RunReader(recording.run(), 1).end_step(), 20u);
    EXPECT_THAT(recording.events("refused"), SizeIs(1));
    EXPECT_THAT(process.error(), Not(HasSubstr("The recording ends here")));
  }
}

// It used to name the command that replays it.
TEST(RecordFailure, ARunThatWasRemovedMeanwhileIsSaidToBeLost) {
  for (const std::string removed : {"run/log-r0000-s0000.h5", "run"}) {
    Recording recording;
    Process process({RECORD_PROGRAM, "--run", recording.run().string(), "--", "/bin/sh", "-c",
                     std::string(FRAME_CHILD) + " --steps 20; rm -r " + removed},
                    recording.folder);
    EXPECT_EQ(process.wait(), 0);
    EXPECT_THAT(process.error(),
                HasSubstr("recorded 20 steps in run, but the run is lost: its log-r0000-s0000.h5 was"));
    EXPECT_THAT(process.error(), Not(HasSubstr("next: ")));
  }
}

// --- Going on ---------------------------------------------------------------------------------------------------

TEST(RecordContinue, GoesOnAfterTheStepWhoseWeightsItHas) {
  Recording recording, whole;
  whole.record({"--steps", "40"});
  recording.record({"--steps", "30"});
  EXPECT_EQ(recording.record({"--steps", "20", "--starts-after", "20"}, {"--continue"}), 0) << recording.said;
  const RunReader run(recording.run());
  EXPECT_EQ(run.end_step(), 40u);
  EXPECT_EQ(recording.manifest().segments.at(1).first_step, 20u);
  EXPECT_EQ(run.chain(39), RunReader(whole.run()).chain(39));
  ASSERT_THAT(recording.events("resume"), SizeIs(1));
  EXPECT_THAT(recording.events("resume")[0].text, HasSubstr("after step 19"));
  run.check_integrity();
}

TEST(RecordContinue, NamesTheFirstOverlappingStepThatDiffers) {
  Recording recording;
  recording.record({"--steps", "30"});
  recording.record({"--steps", "20", "--starts-after", "20", "--parts-at", "25"}, {"--continue"});
  const auto resumes = recording.events("resume");
  ASSERT_THAT(resumes, SizeIs(2));
  EXPECT_EQ(resumes[1].step, 25u);
  EXPECT_THAT(resumes[1].text, HasSubstr("first that differs"));
  EXPECT_THAT(recording.said, HasSubstr("2 resume (first difference: Step 25 is the first that differs"));
}

TEST(RecordContinue, CountsOnWhereTheWeightsAreUnknown) {
  Recording recording;
  recording.record({"--steps", "10"});
  recording.record({"--steps", "5", "--seed", "77"}, {"--continue"});
  EXPECT_EQ(recording.manifest().segments.at(1).first_step, 10u);
  EXPECT_THAT(recording.events("resume").at(0).text, HasSubstr("no recorded step"));
  RunReader(recording.run()).check_integrity();
}

std::string resumed(const Words& how) {
  Recording recording;
  recording.record({"--steps", "40"});
  recording.record(how, {"--continue"});
  return recording.events("resume").at(0).text;
}

TEST(RecordContinue, SaysWhichStepsOptimizerItHas) {
  EXPECT_THAT(resumed({"--steps", "3", "--starts-after", "33", "--optimizer-after", "33"}),
              HasSubstr("optimizer's state is that after the same step"));
  EXPECT_THAT(resumed({"--steps", "3", "--starts-after", "33", "--optimizer-after", "17"}),
              HasSubstr("optimizer's state is that after step 16"));
  EXPECT_THAT(resumed({"--steps", "3", "--starts-after", "33"}), HasSubstr("optimizer holds no state"));
  EXPECT_THAT(resumed({"--steps", "3", "--starts-after", "30", "--optimizer-after", "30"}),
              HasSubstr("cannot be told"));
}

TEST(RecordContinue, StartsAgainAtZeroFromTheFirstWeights) {
  Recording recording;
  recording.record({"--steps", "10"});
  recording.record({"--steps", "12"}, {"--continue"});
  EXPECT_EQ(recording.manifest().segments.at(1).first_step, 0u);
  EXPECT_EQ(RunReader(recording.run()).end_step(), 12u);
}

TEST(RecordContinue, TakesUpARunWhoseRecorderWasKilled) {
  Recording recording;
  {
    Process process(recording.words({"--steps", "100000", "--sleep-us", "1000"}), recording.folder);
    ASSERT_TRUE(eventually([&] { return recording.acknowledged().size() > 20; }));
    process.kill(SIGKILL);
    process.wait();
    process.kill_group(SIGKILL);
  }
  const std::uint64_t steps = RunReader(recording.run()).end_step();
  const std::string from = std::to_string(steps);
  EXPECT_EQ(recording.record({"--steps", "5", "--starts-after", from}, {"--continue"}), 0) << recording.said;
  EXPECT_EQ(recording.manifest().segments.at(0).ended, "lost");
  const RunReader run(recording.run());
  EXPECT_EQ(run.end_step(), steps + 5);
  run.check_integrity();
}

TEST(RecordContinue, TwoRecordersDoNotShareARun) {
  Recording recording;
  Process first(recording.words({"--steps", "100000", "--sleep-us", "1000"}), recording.folder);
  ASSERT_TRUE(eventually([&] { return recording.acknowledged().size() > 3; }));
  Folder elsewhere;
  Process second(recording.words({"--steps", "5"}, {"--continue"}), elsewhere);
  EXPECT_EQ(second.wait(), 2);
  EXPECT_THAT(second.error(), HasSubstr("another samestep is recording into it"));
}

// --- Events -----------------------------------------------------------------------------------------------------

TEST(RecordEvents, NameTheTensorThatChangedBetweenTwoSteps) {
  Recording recording;
  recording.record({"--steps", "20", "--edit-at", "13"});
  const auto edits = recording.events("state_edited");
  ASSERT_THAT(edits, SizeIs(1));
  EXPECT_EQ(edits[0].step, 13u);
  EXPECT_EQ(edits[0].tensor, "block.2.weight");
  EXPECT_THAT(recording.said, HasSubstr("1 state_edited"));
}

// What a client tells was kept as it came: a program in a loop filled the recorder's memory and the manifest.
TEST(RecordEvents, OfAClientAreBoundedInNumberAndSize) {
  Recording recording;
  EXPECT_EQ(recording.record({"--steps", "3", "--events", "1200"}), 0) << recording.said;
  const std::vector<Event> events = recording.manifest().events;
  EXPECT_THAT(events, SizeIs(1001));
  for (const Event& event : events) {
    EXPECT_LE(event.text.size(), 2048u);
    EXPECT_LE(event.tensor.size(), 1024u);
  }
  EXPECT_THAT(recording.events("events_left_out"), SizeIs(1));
  EXPECT_EQ(recording.events("note").size(), 125u);  // every eighth is of a kind that is no word
  EXPECT_EQ(recording.events("told_1").size(), 125u);
  EXPECT_THAT(recording.said, HasSubstr(" of 3 more kinds"));
}

TEST(RecordEvents, NameAStepTenTimesSlowerThanItsNeighbours) {
  Recording recording;
  recording.record({"--steps", "30", "--slow-at", "21"});
  const auto slow = recording.events("slow_step");
  ASSERT_THAT(slow, SizeIs(1));
  EXPECT_EQ(slow[0].step, 21u);
}

TEST(RecordEvents, AreNoneForAQuietRun) {
  Recording recording;
  recording.record({"--steps", "60"});
  EXPECT_TRUE(recording.manifest().events.empty());
}

// --- Anchors ----------------------------------------------------------------------------------------------------

TEST(RecordAnchors, AreWrittenWhereAskedWithTheRunsName) {
  Recording recording;
  recording.record({"--steps", "50"}, {"--anchor-every", "10"});
  const Manifest manifest = recording.manifest();
  ASSERT_THAT(manifest.anchors, SizeIs(5));
  for (const AnchorEntry& anchor : manifest.anchors) {
    const MappedFile file(recording.run() / anchor.file);
    EXPECT_EQ(digest(file.bytes()), anchor.digest);
    EXPECT_EQ(parse_safetensors(file.bytes(), anchor.file).metadata.at("run_id"), manifest.run_id);
  }
}

// A resume comes by the same step again. Its anchor once took the place of the first one's file before the manifest
// said so, and a kill in between left a digest that no longer fitted.
TEST(RecordAnchors, OfTheSameStepInTwoSegmentsAreFilesOfTheirOwn) {
  Recording recording;
  recording.record({"--steps", "30"}, {"--anchor-every", "10"});
  const Manifest before = recording.manifest();
  ASSERT_THAT(before.anchors, SizeIs(3));
  recording.record({"--steps", "20", "--starts-after", "15", "--parts-at", "16"},
                   {"--continue", "--anchor-every", "10"});
  for (const AnchorEntry& anchor : before.anchors) EXPECT_EQ(file_digest(recording.run() / anchor.file), anchor.digest);
  std::vector<std::string> files;
  for (const AnchorEntry& anchor : recording.manifest().anchors) files.push_back(anchor.file);
  EXPECT_THAT(files,
              ::testing::ElementsAre("anchors/000000010-r0000.safetensors", "anchors/000000020-r0000.safetensors",
                                     "anchors/000000020-r0000-s0001.safetensors", "anchors/000000030-r0000.safetensors",
                                     "anchors/000000030-r0000-s0001.safetensors"));
  EXPECT_EQ(recording.manifest().anchors.at(2).segment, 1u);
  RunReader(recording.run()).check_integrity();
}

TEST(RecordAnchors, AreThinnedEvenlyWithinTheirBudget) {
  Recording recording;
  recording.record({"--steps", "100", "--parameters", "1"}, {"--anchor-every", "10", "--anchor-budget", "22000"});
  const Manifest manifest = recording.manifest();
  std::uint64_t bytes = 0;
  for (const AnchorEntry& anchor : manifest.anchors) bytes += anchor.bytes;
  EXPECT_LE(bytes, 22000u);
  ASSERT_THAT(manifest.anchors, SizeIs(5));
  EXPECT_EQ(manifest.anchors.front().step, 10u);
  EXPECT_EQ(manifest.anchors.back().step, 100u);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(recording.run() / "anchors")) ++files;
  EXPECT_EQ(files, 5u);
}

TEST(RecordAnchors, ThatDoNotFitAreSaidAndTheStepsAreKept) {
  Recording recording;
  recording.record({"--steps", "20"}, {"--anchor-every", "10", "--anchor-budget", "1000"});
  EXPECT_THAT(recording.said, HasSubstr("does not fit the budget"));
  EXPECT_TRUE(recording.manifest().anchors.empty());
  EXPECT_EQ(RunReader(recording.run()).end_step(), 20u);
}

// Whatever the disk is like: the share is so large that the first acknowledgements can already pay for one, and the
// recorder waits for it at the end. When one is due is the rule of AnchorPacing (keeping_test).
TEST(RecordAnchors, AreAskedForByAnAcknowledgement) {
  Recording recording;
  recording.record({"--steps", "50", "--sleep-us", "1000"}, {"--anchor-share", "1000000"});
  EXPECT_FALSE(recording.manifest().anchors.empty());
}

// --- When something breaks --------------------------------------------------------------------------------------

// A disk of 300 kB, in a mount namespace of its own; what is left on it is copied to "run" at the end.
Words on_a_small_disk(const Recording& recording, const std::string& command) {
  const std::string record = std::string(RECORD_PROGRAM) + " --run disk/run -- " + command;
  return {"/usr/bin/unshare", ::geteuid() == 0 ? "-m" : "-Urm", "/bin/sh", "-c",
          "mkdir disk && mount -t tmpfs -o size=300k none disk || exit 99; " + record + "; code=$?; cp -r disk/run " +
              recording.run().string() + "; exit $code"};
}

TEST(RecordFailure, AFullDiskEndsTheRecordingNotTheTraining) {
  Recording recording;
  const std::string child = std::string(FRAME_CHILD) + " --steps 500 --end exit --value 4 --acknowledged " +
                            (recording.folder / "acknowledged").string() + " --finished finished";
  Process process(on_a_small_disk(recording, child), recording.folder);
  const int code = process.wait();
  if (code == 99 || code == 121) GTEST_SKIP() << "no mount namespaces here: " << process.error();
  EXPECT_EQ(code, 4) << process.error();
  EXPECT_TRUE(std::filesystem::exists(recording.folder / "finished"));
  EXPECT_THAT(process.error(), HasSubstr("The recording ends here; the training goes on."));
  const RunReader run(recording.run());
  const auto acknowledged = recording.acknowledged();
  ASSERT_FALSE(acknowledged.empty());
  EXPECT_GE(run.end_step(), acknowledged.back() + 1);
  run.check_integrity();
}

TEST(RecordFailure, AFolderThatGoesAwayEndsTheRecordingNotTheTraining) {
  Recording recording;
  Process process(recording.words({"--steps", "300", "--sleep-us", "2000", "--new-layout-at", "100"}),
                  recording.folder);
  ASSERT_TRUE(eventually([&] { return recording.acknowledged().size() > 10; }));
  std::filesystem::remove_all(recording.run());
  EXPECT_EQ(process.wait(), 0);
  EXPECT_TRUE(std::filesystem::exists(recording.folder / "finished"));
  EXPECT_THAT(process.error(), HasSubstr("the training goes on"));
}

TEST(RecordFailure, ADeadRecorderIsSaidOnceAndTheTrainingGoesOn) {
  Recording recording;
  Process process(recording.words({"--steps", "300", "--sleep-us", "2000"}), recording.folder);
  ASSERT_TRUE(eventually([&] { return recording.acknowledged().size() > 10; }));
  process.kill(SIGKILL);
  process.wait();
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(recording.folder / "finished"); }));
  const std::string said = process.error();
  EXPECT_EQ(said.find("the recorder has gone"), said.rfind("the recorder has gone"));
  EXPECT_THAT(said, HasSubstr("the recorder has gone"));
}

// --- Signals ----------------------------------------------------------------------------------------------------

TEST(RecordSignals, CtrlCEndsBothCleanly) {
  Recording recording;
  Process process(recording.words({"--steps", "100000", "--sleep-us", "1000"}), recording.folder);
  ASSERT_TRUE(eventually([&] { return recording.acknowledged().size() > 10; }));
  process.kill_group(SIGINT);
  EXPECT_EQ(process.wait(), 128 + SIGINT);
  EXPECT_EQ(recording.manifest().segments.at(0).ended, "killed by signal 2");
  EXPECT_THAT(process.error(), HasSubstr("samestep: recorded "));
}

TEST(RecordSignals, SentToTheRecorderAloneReachTheCommand) {
  for (const int signal : {SIGTERM, SIGHUP, SIGUSR1}) {
    Recording recording;
    Process process(recording.words({"--steps", "100000", "--sleep-us", "1000"}), recording.folder);
    ASSERT_TRUE(eventually([&] { return recording.acknowledged().size() > 10; }));
    process.kill(signal);
    EXPECT_EQ(process.wait(), 128 + signal);
    const auto acknowledged = recording.acknowledged();
    EXPECT_GE(RunReader(recording.run()).end_step(), acknowledged.back() + 1);
  }
}

}  // namespace
}  // namespace samestep::testing
