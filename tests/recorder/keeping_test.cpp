// Rules of the recorder that need no process: which anchors stay, what is told of a run, which files are read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "replay/recorder/anchor_keeper.h"
#include "replay/recorder/file_digests.h"
#include "replay/recorder/observations.h"
#include "replay/recorder/program_output.h"
#include "replay/recorder/provenance.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::SizeIs;

std::vector<AnchorEntry> anchors(std::initializer_list<std::uint64_t> steps) {
  std::vector<AnchorEntry> list;
  for (const std::uint64_t step : steps) list.push_back({step, 0, 0, "", 10, {}});
  return list;
}

std::set<std::uint64_t> dropped(std::initializer_list<std::uint64_t> steps, std::uint64_t budget) {
  std::set<std::uint64_t> gone;
  for (const AnchorEntry& anchor : anchors_to_drop(anchors(steps), budget)) gone.insert(anchor.step);
  return gone;
}

TEST(AnchorThinning, KeepsFirstAndLastAndTheGapsEven) {
  EXPECT_THAT(dropped({10, 20, 30, 40, 50}, 30), ElementsAre(20, 40));
  EXPECT_THAT(dropped({10, 100, 101, 200}, 30), ::testing::AnyOf(ElementsAre(100), ElementsAre(101)));
  EXPECT_THAT(dropped({10, 20, 30}, 5), ElementsAre(20));
  EXPECT_TRUE(dropped({10, 20, 30}, 30).empty());
}

// A rule that once was tested by the time that real anchors took, and failed on a slow disk.
TEST(AnchorPacing, AsksWhenTheRunIsLongEnoughToPay) {
  AnchorPacing pacing(0.01);
  pacing.expect(196'000'000);  // taken to need a second
  EXPECT_FALSE(pacing.can_pay(99));
  EXPECT_TRUE(pacing.can_pay(101));
}

TEST(AnchorPacing, TakesTheNextOneToCostWhatTheLastOneDid) {
  AnchorPacing pacing(0.01);
  pacing.expect(196'000'000);
  pacing.wrote(3);  // a slow disk
  EXPECT_FALSE(pacing.can_pay(599));
  EXPECT_TRUE(pacing.can_pay(601));
  pacing.expect(1);  // a new table of tensors: what was measured counts for more
  pacing.wrote(0.5);
  EXPECT_FALSE(pacing.can_pay(399));
  EXPECT_TRUE(pacing.can_pay(401));
}

TEST(AnchorPacing, StaysWithinItsShare) {
  AnchorPacing pacing(0.01);
  pacing.expect(1'000'000);
  double spent = 0;
  for (double now = 0; now < 10000; now += 0.5) {
    if (!pacing.can_pay(now)) continue;
    const double seconds = spent == 0 ? 2.0 : 0.5;
    spent += seconds;
    pacing.wrote(seconds);
  }
  EXPECT_GT(spent, 90);
  EXPECT_LE(spent, 0.01 * 10000);
}

StepTiming timing(std::int64_t began_ns, std::int64_t duration_ns) {
  StepTiming timing;
  timing.began_ns = began_ns;
  timing.duration_ns = duration_ns;
  return timing;
}

TEST(Pace, TellsASleepInsideAStepFromOneBetweenSteps) {
  constexpr std::int64_t ms = 1'000'000;
  for (const bool between : {false, true}) {
    Pace pace;
    std::int64_t now = 0;
    for (int i = 0; i < 20; ++i, now += 20 * ms) EXPECT_FALSE(pace.observe(timing(now, 20 * ms), now + 20 * ms));
    const auto found = pace.observe(timing(between ? now + 900 * ms : now, 1000 * ms), now + 1000 * ms);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->between_steps, between);
    EXPECT_NEAR(found->usual_seconds, 0.02, 1e-9);
  }
}

TEST(Pace, DoesNotCallWaitingForTheRecorderSlow) {
  Pace pace;
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(pace.observe(timing(0, 20'000'000), 0));
  StepTiming waited = timing(0, 1'000'000'000);
  waited.waited_ns = 980'000'000;
  EXPECT_FALSE(pace.observe(waited, 0));
}

StepRecord step_with_batch(std::uint64_t step, char batch, std::uint32_t optimizer = 0) {
  StepRecord record;
  record.step = step;
  record.optimizer = optimizer;
  LaneRecord& lane = record.of(Lane::batch);
  lane.status = LaneStatus::captured;
  lane.items.emplace_back();
  lane.digest = digest(std::string(1, batch));
  return record;
}

// The step at which batches in a row were told, of steps that got these.
std::optional<std::uint64_t> told_of(const std::string& batches, std::uint32_t optimizers = 1) {
  Repeats repeats;
  std::optional<std::uint64_t> step;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const auto found = repeats.observe(step_with_batch(i, batches[i], static_cast<std::uint32_t>(i % optimizers)));
    EXPECT_FALSE(found && step) << "told twice";
    if (found) step = found->front().step;
  }
  return step;
}

TEST(Repeats, AreToldWhereSomeBatchesComeTwiceInARowAndOthersDiffer) {
  EXPECT_EQ(told_of("aabbccdd"), 1U);
  EXPECT_EQ(told_of("abccddef"), 3U);
  EXPECT_EQ(told_of("aaaabbbb"), 1U);
}

TEST(Repeats, AreNoneWhereAllAreAlikeOrOneIsOrEpochsAre) {
  EXPECT_EQ(told_of("aaaaaaaa"), std::nullopt);
  EXPECT_EQ(told_of("abccdefg"), std::nullopt);
  EXPECT_EQ(told_of("abcdabcdabcd"), std::nullopt);
  EXPECT_EQ(told_of("aabbccdd", 2), std::nullopt) << "two optimizers take turns";
}

class FileDigestsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "samestep-digests-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    write("code");
  }
  // Large enough to be worth remembering.
  static std::string contents(const std::string& word) { return word + std::string(std::size_t{1} << 16, ' '); }
  void write(const std::string& word) const { std::ofstream(folder_ / "library.so") << contents(word); }
  void TearDown() override { fs::remove_all(folder_); }

  std::vector<FileDigest> digest_all() {
    FileDigests files(folder_ / "cache" / "digests");
    files.add((folder_ / "library.so").string(), "library");
    files.add((folder_ / "library.so").string(), "library");
    files.add((folder_ / "missing").string(), "library");
    files.add(folder_.string(), "library");
    return files.finish(std::chrono::seconds(10));
  }
  fs::path folder_;
};

TEST_F(FileDigestsTest, ReadEachFileOnceAndRememberIt) {
  const auto first = digest_all();
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_EQ(first[0].digest, digest(contents("code")));
  EXPECT_FALSE(first[0].cached);
  const auto second = digest_all();
  EXPECT_TRUE(second.at(0).cached);
  EXPECT_EQ(second.at(0).digest, digest(contents("code")));
}

TEST_F(FileDigestsTest, ReadSmallFilesEachTime) {
  std::ofstream(folder_ / "library.so") << "code";
  digest_all();
  const auto second = digest_all();
  EXPECT_FALSE(second.at(0).cached);
  EXPECT_EQ(second.at(0).digest, digest("code"));
}

TEST_F(FileDigestsTest, RememberWhatAnEarlierRunMetToo) {
  digest_all();
  std::ofstream(folder_ / "other.so") << contents("other");
  FileDigests files(folder_ / "cache" / "digests");
  files.add((folder_ / "other.so").string(), "library");
  EXPECT_FALSE(files.finish(std::chrono::seconds(10)).at(0).cached);
  EXPECT_TRUE(digest_all().at(0).cached);
}

TEST_F(FileDigestsTest, SeeAnEditWhoseTimeWasPutBack) {
  digest_all();
  const auto time = fs::last_write_time(folder_ / "library.so");
  write("evil");
  fs::last_write_time(folder_ / "library.so", time);
  const auto after = digest_all();
  EXPECT_FALSE(after.at(0).cached);
  EXPECT_EQ(after.at(0).digest, digest(contents("evil")));
}

TEST(ProgramOutput, IsCutAndIsNotWaitedForForever) {
  const std::vector<std::string> much{"sh", "-c", "yes | head -c 100000"}, slow{"sleep", "10"}, fails{"false"};
  const auto cut = output_of(much, "", std::chrono::seconds(10), 1000);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->text.size(), 1000u);
  EXPECT_TRUE(cut->cut);
  EXPECT_FALSE(output_of(slow, "", std::chrono::milliseconds(50), 1000));
  EXPECT_FALSE(output_of(fails, "", std::chrono::seconds(10), 1000));
}

TEST(Revision, HasHeadBranchAndUncommittedWork) {
  std::string name = (fs::temp_directory_path() / "samestep-git-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path folder = name;
  const std::string setup =
      "git init -q -b trunk . && git config user.email a@b && git config user.name a && echo one > file && git add "
      "file && "
      "git commit -qm first && echo two > file && echo new > untracked";
  const std::vector<std::string> shell{"sh", "-c", setup};
  ASSERT_TRUE(output_of(shell, folder, std::chrono::seconds(20), 1000));
  const auto revision = describe_revision(folder);
  EXPECT_EQ(revision["branch"], "trunk");
  EXPECT_EQ(revision["commit"].get<std::string>().size(), 40u);
  EXPECT_THAT(revision["diff"].get<std::string>(), ::testing::HasSubstr("+two"));
  EXPECT_EQ(revision["untracked"], nlohmann::json({"untracked"}));
  fs::remove_all(folder);
  EXPECT_TRUE(describe_revision("/").is_null());
}

// A checkout may have come from somebody else, a submodule of it from anybody.
TEST(Revision, IsDescribedWithoutStartingWhatTheRepositoryNames) {
  std::string name = (fs::temp_directory_path() / "samestep-git-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path folder = name;
  const std::string setup =
      "set -e; for it in . part; do git init -q $it; cd $it; git config user.email a@b; git config user.name a; "
      "echo '* filter=evil' > .gitattributes; echo one > file; git add -A . 2> /dev/null; git commit -qm first; "
      "git config filter.evil.clean \"touch '$OLDPWD/started'; cat\"; cd - > /dev/null; done; "
      "git add part 2> /dev/null; git commit -qm part; rm -f started; sleep 0.01; echo two > file; echo two > "
      "part/file";
  const std::vector<std::string> shell{"sh", "-c", setup};
  ASSERT_TRUE(output_of(shell, folder, std::chrono::seconds(20), 1000));
  EXPECT_THAT(describe_revision(folder)["diff"].get<std::string>(), ::testing::HasSubstr("+two"));
  std::vector<std::string> marks;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().filename() == "started") marks.push_back(entry.path().string());
  EXPECT_THAT(marks, ::testing::IsEmpty());
  fs::remove_all(folder);
}

}  // namespace
}  // namespace samestep
