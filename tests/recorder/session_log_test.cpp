// What the manifest says of a log after the disk has failed.
#include "replay/recorder/session_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "replay/run/error.h"
#include "replay/run/run_files.h"
#include "replay/run/run_reader.h"
#include "tests/run/synthetic.h"
#include "tests/run/temporary_folder.h"

namespace {

std::atomic<bool> syncs_fail = false;

}  // namespace

// In the place of the C library's: a disk that takes every write and then fails to sync.
extern "C" int fsync(int file) {
  if (!syncs_fail) return static_cast<int>(::syscall(SYS_fsync, file));
  errno = EIO;
  return -1;
}

namespace samestep {
namespace {

class SessionLogTest : public ::testing::Test {
 protected:
  SessionLogTest() { log_.set_layout(layout_); }
  ~SessionLogTest() override { syncs_fail = false; }

  void append(std::uint64_t step) {
    StepRecord record = synthetic_record(synthetic_, layout_, step);
    log_.append(record, Detail::scheduled);
  }
  static Manifest first_manifest() {
    Manifest manifest;
    manifest.run_id = std::string(32, 'a');
    return manifest;
  }

  TemporaryFolder folder_;
  SyntheticRun synthetic_{3, 1};
  Layout layout_ = synthetic_layout(synthetic_);
  ManifestKeeper manifest_{folder_.path(), first_manifest()};
  RankState rank_;
  nlohmann::json object_ = nlohmann::json::object();
  SessionLog log_{{folder_.path(), std::string(32, 'a'), 1}, 0, rank_, manifest_, object_, object_};
};

// The row that counts the step was in the file when the sync failed. The manifest stated the steps that had been
// acknowledged, one fewer, and the run read as tampered.
TEST_F(SessionLogTest, AFailedSyncLeavesALogThatTheManifestDescribes) {
  std::uint64_t step = 0;
  while (step < 60) append(step++);
  syncs_fail = true;
  EXPECT_THROW(while (step < 100) append(step++), BrokenInput);
  log_.end("lost: a sync failed");
  syncs_fail = false;
  manifest_.change([&](Manifest& manifest) {
    manifest.segments.at(0).digest = file_digest(folder_ / manifest.segments.at(0).file);
  });
  manifest_.renew();
  const SegmentEntry entry = manifest_.copy().segments.at(0);
  EXPECT_EQ(entry.steps, 64u) << entry.ended;
  const RunReader run(folder_.path());
  EXPECT_EQ(run.end_step(), 64u);
  EXPECT_EQ(entry.chain, run.chain(63));
  run.check_integrity();
}

TEST_F(SessionLogTest, SaysHowASessionEndedThatHadAlreadyLeft) {
  append(0);
  log_.leave();
  EXPECT_EQ(manifest_.copy().segments.at(0).ended, "lost");
  log_.end("killed by signal 9");
  EXPECT_EQ(manifest_.copy().segments.at(0).ended, "killed by signal 9");
  log_.end("closed");
  EXPECT_EQ(manifest_.copy().segments.at(0).ended, "killed by signal 9");
}

TEST_F(SessionLogTest, KnowsTheSegmentOfEachStep) {
  append(0);
  append(1);
  log_.thin(16);
  append(2);
  EXPECT_EQ(log_.segment_of(1), 0u);
  EXPECT_EQ(log_.segment_of(2), 1u);
  EXPECT_FALSE(log_.segment_of(3));
}

}  // namespace
}  // namespace samestep
