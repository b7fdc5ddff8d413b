// Replays of what a real recorder wrote: anchors, sessions, runs that are still being written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "replay/checkpoint/safetensors.h"
#include "replay/player/anchor_bytes.h"
#include "replay/player/player.h"
#include "replay/recorder/record.h"
#include "replay/run/run_files.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

class Recorded : public ::testing::Test {
 protected:
  // With an anchor at every tenth step.
  void record_run(const Words& words, bool more = false) {
    RecordOptions options;
    options.argv = {SAMESTEP_TINY_TRAINER};
    options.argv.insert(options.argv.end(), words.begin(), words.end());
    options.cwd = folder_.path();
    options.run = run();
    options.anchor_every = 10;
    options.continue_run = more;
    ASSERT_EQ(record(options), 0);
  }
  ReplayAnswer replay_window(std::uint64_t from, std::uint64_t to) {
    ReplayOptions options;
    options.run = run();
    options.in_place = !testing::view_refusal().empty();
    options.from = from;
    options.to = to;
    options.save = folder_ / ("replay-" + std::to_string(++replays_));
    options.say = [this](const std::string& line) {
      said_ += line + "\n";
      if (on_say_) std::exchange(on_say_, {})();
    };
    return replay(options);
  }
  [[nodiscard]] std::filesystem::path run() const { return folder_ / "run"; }
  [[nodiscard]] std::string output() const {
    return text_of(folder_ / ("replay-" + std::to_string(replays_)) / "output.txt");
  }
  // What a living recorder does that thins its anchors: first out of the manifest, then off the disk.
  void thin(std::uint64_t step) {
    Manifest manifest = read_manifest(run());
    std::erase_if(manifest.anchors, [&](const AnchorEntry& anchor) {
      if (anchor.step != step) return false;
      gone_.push_back(run() / anchor.file);
      return true;
    });
    write_manifest(run(), manifest);
    for (const auto& file : gone_) std::filesystem::remove(file);
  }

  testing::Folder folder_;
  int replays_ = 0;
  std::string said_;
  std::function<void()> on_say_;  // once, at the first line
  std::vector<std::filesystem::path> gone_;
};

using ReplayFromAnAnchor = Recorded;

TEST_F(ReplayFromAnAnchor, GivesTheProgramTheStateThatWasRecorded) {
  record_run({});
  const ReplayAnswer answer = replay_window(23, 33);
  EXPECT_EQ(answer.verdict.outcome, Outcome::same) << answer.verdict;
  EXPECT_EQ(answer.verdict.steps_compared, 10U);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("started from the anchor at step 20; 3 warm-up steps")));
}

TEST_F(ReplayFromAnAnchor, ThatWasEditedIsTamperedAndNamesTensorAndElement) {
  record_run({});
  const std::filesystem::path anchor = run_file(run(), read_manifest(run()).anchors.at(1).file);
  const MappedFile file(anchor);
  const Safetensors parsed = parse_safetensors(file.bytes(), "anchor");
  const TensorView* weight = parsed.find("weights_out/critic.weight");
  ASSERT_NE(weight, nullptr);
  std::fstream edit(anchor, std::ios::in | std::ios::out | std::ios::binary);
  edit.seekp(weight->data.data() - file.bytes().data() + 4 * 3 + 2);  // element [1, 1] of [2, 2]
  edit.put(static_cast<char>(0x11));
  edit.close();
  try {
    (void)replay_window(23, 33);
    FAIL() << "an edited anchor was believed";
  } catch (const TamperedAnchor& error) {
    EXPECT_EQ(error.step, 20U);
    EXPECT_EQ(error.tensor, "weights_out/critic.weight");
    EXPECT_THAT(error.what(), HasSubstr("element [1, 1] is "));
  }
}

TEST_F(ReplayFromAnAnchor, BehindTheDivergenceTellsAOneOffOfTheRecording) {
  record_run({"--wrong-once", "24"});
  const ReplayAnswer answer = replay_window(21, 29);
  EXPECT_EQ(answer.verdict.outcome, Outcome::flaky) << answer.verdict;
  EXPECT_EQ(answer.verdict.cause, Cause::nondeterministic);
  EXPECT_EQ(answer.verdict.step, 24U);
  EXPECT_THAT(answer.verdict.evidence.front(), HasSubstr("from the anchor at step 30 on the program does what was"));
}

TEST_F(ReplayFromAnAnchor, IsNotProbedWhereNoneStandsBehindTheDivergence) {
  record_run({"--wrong-once", "35", "--steps", "39"});
  const ReplayAnswer answer = replay_window(31, 39);
  EXPECT_EQ(answer.verdict.outcome, Outcome::diverged) << answer.verdict;
  EXPECT_THAT(answer.verdict.limits, Contains(HasSubstr("a fault of the recording machine")));
}

using ReplayOfAContinuedRun = Recorded;

// The last segment's environment was judged with the first session's command and pins.
TEST_F(ReplayOfAContinuedRun, RunsTheCommandOfTheSessionThatRecordedTheSteps) {
  record_run({"--steps", "20", "--say", "first session"});
  ::setenv("DNNL_MAX_CPU_ISA", "AVX2", 1);
  record_run({"--steps", "40", "--say", "second session"}, true);
  ::unsetenv("DNNL_MAX_CPU_ISA");
  const ReplayAnswer second = replay_window(25, 35);
  EXPECT_EQ(second.verdict.outcome, Outcome::same) << second.verdict;
  EXPECT_EQ(output(), "second session\n");
  EXPECT_THAT(second.verdict.evidence, Not(Contains(HasSubstr("in spite of"))));
  EXPECT_EQ(read_manifest(folder_ / "replay-1").what["pins"].dump().find("DNNL_MAX_CPU_ISA") == std::string::npos,
            false);
  const ReplayAnswer first = replay_window(5, 15);
  EXPECT_EQ(first.verdict.outcome, Outcome::same) << first.verdict;
  EXPECT_EQ(output(), "first session\n");
  EXPECT_THAT(first.verdict.evidence, Not(Contains(HasSubstr("in spite of"))));
}

TEST_F(ReplayOfAContinuedRun, SaysWhereAWindowHoldsStepsOfSeveralSessions) {
  record_run({"--steps", "20"});
  record_run({"--steps", "40", "--say", "second"}, true);
  const ReplayAnswer answer = replay_window(15, 25);
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("step 20 was recorded by: " SAMESTEP_TINY_TRAINER)));
}

using ReplayOfAGrowingRun = Recorded;

// A recorder that thinned an anchor while a replay read the run made it end in "which is missing".
TEST_F(ReplayOfAGrowingRun, GoesOnWithTheAnchorsThatAreLeft) {
  record_run({});
  RunReader reader(run());
  thin(20);
  EXPECT_THROW(check_run(reader), BrokenInput);
  with_named_anchors(reader, [&] { check_run(reader); });
  EXPECT_EQ(reader.anchor_before(25)->step, 10U);
}

TEST_F(ReplayOfAGrowingRun, KeepsTheAnchorItHasChosen) {
  record_run({"--wrong-once", "24"});
  on_say_ = [this] { thin(20); };
  const ReplayAnswer answer = replay_window(21, 29);  // two replays from it
  EXPECT_EQ(answer.verdict.step, 24U) << answer.verdict;
  EXPECT_THAT(answer.verdict.evidence, Contains(HasSubstr("a second replay of the same window gave the same bits")));
  ASSERT_EQ(gone_.size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(gone_.front()));
}

TEST_F(ReplayOfAGrowingRun, AFileThatTheManifestStillNamesMustBeThere) {
  record_run({});
  std::filesystem::remove(run_file(run(), read_manifest(run()).anchors.at(1).file));
  EXPECT_THROW((void)replay_window(5, 8), BrokenInput);
}

}  // namespace
}  // namespace samestep
