// Logs written, read back, read while they grow, cut off by a kill or a full disk.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/segment_reader.h"
#include "replay/run/segment_writer.h"
#include "tests/run/synthetic.h"
#include "tests/run/temporary_folder.h"
#include "tests/run/tiny_run.h"

namespace samestep {
namespace {

SegmentHeader some_header(std::uint64_t first_step = 0) {
  SegmentHeader header;
  header.run_id = std::string(32, 'b');
  header.first_step = first_step;
  return header;
}

class Log : public testing::Test {
 protected:
  // Writes `steps` tiny steps and returns them as stored.
  std::vector<StepRecord> write(std::uint64_t steps, std::uint64_t detail_every = 1) {
    TinyTraining training;
    SegmentWriter writer(file_, some_header(), training.layout(), 4, detail_every);
    std::vector<StepRecord> records;
    for (std::uint64_t i = 0; i < steps; ++i) {
      records.push_back(training.step());
      writer.append(records.back());
    }
    writer.close();
    return records;
  }
  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "log.h5";
};

std::string hex_of(const StepRecord& record) {
  return log_chain_digest({}, record).hex();
}

TEST_F(Log, GivesBackEveryRecordAsItWasStored) {
  const std::vector<StepRecord> records = write(20);
  const SegmentReader reader(file_);
  ASSERT_EQ(reader.steps(), 20u);
  EXPECT_EQ(reader.layout(), TinyTraining().layout());
  for (const StepRecord& record : records) {
    const StepRecord again = reader.record(record.step);
    EXPECT_EQ(hex_of(again), hex_of(record)) << record.step;
    EXPECT_EQ(again.root, record.root);
    EXPECT_EQ(again.chain, record.chain);
    EXPECT_EQ(again.log_chain, record.log_chain);
  }
  EXPECT_NO_THROW(reader.check_all());
}

TEST_F(Log, ThinsDetailButKeepsLanesLossesAndChain) {
  const std::vector<StepRecord> thinned = write(44, 10);
  std::filesystem::remove(file_);
  const std::vector<StepRecord> whole = write(44);
  EXPECT_EQ(thinned.back().chain, whole.back().chain) << "detail is no part of the training";
  EXPECT_TRUE(thinned[33].of(Lane::weights_out).digests.empty());
  EXPECT_FALSE(thinned[31].of(Lane::weights_out).digests.empty()) << "the first 32 are dense";
  EXPECT_FALSE(thinned[40].of(Lane::weights_out).digests.empty());
  EXPECT_EQ(thinned[33].of(Lane::loss).values, whole[33].of(Lane::loss).values);
  EXPECT_EQ(thinned[33].of(Lane::weights_out).digest, whole[33].of(Lane::weights_out).digest);
}

TEST_F(Log, KeepsDetailWhereAskedOrWhereStateWasRead) {
  TinyTraining training;
  SegmentWriter writer(file_, some_header(), training.layout(), 4, 1000);
  const auto detail_at = [&](bool anchor, Detail detail) {
    StepRecord record = training.step(anchor);
    writer.append(record, detail);
    return !record.of(Lane::weights_out).digests.empty();
  };
  while (training.updates() < 40) detail_at(false, Detail::scheduled);
  EXPECT_FALSE(detail_at(false, Detail::scheduled));
  EXPECT_TRUE(detail_at(true, Detail::scheduled));
  EXPECT_TRUE(detail_at(false, Detail::keep));
}

TEST_F(Log, IsRefusedWhereTheFileExists) {
  write(1);
  EXPECT_THROW(SegmentWriter(file_, some_header(), TinyTraining().layout(), 4), BrokenInput);
}

TEST_F(Log, RefusesAStepThatDoesNotFollowOrFit) {
  TinyTraining training;
  SegmentWriter writer(file_, some_header(), training.layout(), 4);
  StepRecord first = training.step();
  StepRecord second = training.step();
  EXPECT_THROW(writer.append(second), BrokenInput);
  StepRecord crowded = first;
  for (int i = 0; i < 20; ++i) crowded.of(Lane::batch).items.push_back(crowded.of(Lane::batch).items[0]);
  EXPECT_FALSE(writer.has_room_for(crowded));
  EXPECT_THROW(writer.append(crowded), BrokenInput);
  EXPECT_NO_THROW(writer.append(first));
  EXPECT_NO_THROW(writer.append(second));
}

TEST_F(Log, WithoutStepsOpensAndHasTheHeadersChain) {
  write(0);
  const SegmentReader reader(file_);
  EXPECT_EQ(reader.steps(), 0u);
  EXPECT_EQ(reader.end_chain(), Digest{});
}

// --- Kills, full disks, live readers ----------------------------------------------------------------------------

// Writes synthetic steps in a child until it is killed; each acknowledged step's number goes into the pipe.
struct WritingChild {
  pid_t pid = 0;
  int acknowledged = -1;

  explicit WritingChild(const std::filesystem::path& file, rlim_t size_limit = RLIM_INFINITY) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    pid = ::fork();
    if (pid == 0) {
      ::close(ends[0]);
      run(file, ends[1], size_limit);
    }
    ::close(ends[1]);
    acknowledged = ends[0];
  }
  ~WritingChild() { ::close(acknowledged); }

  [[noreturn]] static void run(const std::filesystem::path& file, int out, rlim_t size_limit) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{size_limit, size_limit};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const SyntheticRun run{12, 5};
    const Layout layout = synthetic_layout(run);
    try {
      SegmentWriter writer(file, some_header(), layout, 4);
      for (std::uint64_t step = 0;; ++step) {
        StepRecord record = synthetic_record(run, layout, step);
        writer.append(record);
        if (::write(out, &step, sizeof step) != sizeof step) ::_exit(1);
      }
    } catch (const BrokenInput&) {
      ::_exit(3);
    }
  }

  // Steps acknowledged so far; reads until `count` came or the child is gone.
  std::uint64_t wait_for(std::uint64_t count) {
    std::uint64_t step = 0;
    while (seen < count && ::read(acknowledged, &step, sizeof step) == sizeof step) seen = step + 1;
    return seen;
  }
  int end() {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status;
  }
  std::uint64_t seen = 0;
};

TEST_F(Log, KeepsEveryAcknowledgedStepThroughAKill) {
  for (const std::uint64_t kill_after : {1u, 2u, 17u, 63u, 64u, 65u, 200u}) {
    const auto file = folder_ / ("killed-" + std::to_string(kill_after) + ".h5");
    WritingChild child(file);
    child.wait_for(kill_after);
    ::kill(child.pid, SIGKILL);
    child.end();
    const std::uint64_t acknowledged = child.wait_for(~0ull);
    const SegmentReader reader(file);
    EXPECT_GE(reader.steps(), acknowledged);
    EXPECT_LE(reader.steps(), acknowledged + 1);
    EXPECT_NO_THROW(reader.check_all());
  }
}

TEST_F(Log, IsReadWholeWhileItGrows) {
  WritingChild child(file_);
  child.wait_for(1);
  std::uint64_t last = 0;
  for (int look = 0; look < 100; ++look) {
    const SegmentReader reader(file_);
    EXPECT_GE(reader.steps(), last);
    last = reader.steps();
    if (last > 0) {
      EXPECT_NO_THROW(static_cast<void>(reader.record(last - 1))) << last;
    }
    child.wait_for(last + 3);
  }
  ::kill(child.pid, SIGKILL);
  child.end();
  EXPECT_GT(last, 100u);
}

// HDF5 shares what it has cached of a file inside a process, and the second reader once saw the first one's end of it.
TEST_F(Log, IsSeenAsItIsByASecondReaderInTheSameProcess) {
  WritingChild child(file_);
  child.wait_for(40);
  const SegmentReader first(file_);
  const std::uint64_t seen = first.steps();
  ASSERT_GE(seen, 40u);
  EXPECT_NO_THROW(static_cast<void>(first.record(20)));
  const std::uint64_t acknowledged = child.wait_for(seen + 100);
  const SegmentReader second(file_);
  EXPECT_GE(second.steps(), acknowledged);
  EXPECT_EQ(first.steps(), seen);
  EXPECT_NO_THROW(second.check_all());
  EXPECT_NO_THROW(first.check_all());
  ::kill(child.pid, SIGKILL);
  child.end();
}

// At about row 8176 HDF5's index blocks outgrow a page, and could be torn by a kill.
TEST_F(Log, TakesAsManyStepsAsItsIndexHasWholePagesFor) {
  const SyntheticRun run{1, 5};
  const Layout layout = synthetic_layout(run);
  SegmentWriter writer(file_, some_header(), layout, 4, 100000, 0);
  StepRecord record = synthetic_record(run, layout, 0);
  for (; record.step < format::max_segment_steps; record = synthetic_record(run, layout, record.step + 1)) {
    ASSERT_TRUE(writer.has_room_for(record));
    writer.append(record);
  }
  EXPECT_FALSE(writer.has_room_for(record));
  EXPECT_THROW(writer.append(record), BrokenInput);
}

// A limit on the file's size fails writes as a full disk does. Whatever piece of a step the limit cuts, closing the log
// afterwards must not spoil it: it once stated an end of file that was never reached, and would not open.
TEST_F(Log, OnAFullDiskEndsWithOneErrorAndKeepsWhatItHas) {
  for (rlim_t limit = 400000; limit < 420000; limit += 613) {
    const auto file = folder_ / ("full-" + std::to_string(limit) + ".h5");
    WritingChild child(file, limit);
    const std::uint64_t acknowledged = child.wait_for(~0ull);
    const int status = child.end();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << status;
    EXPECT_GT(acknowledged, 10u);
    const SegmentReader reader(file);
    EXPECT_GE(reader.steps(), acknowledged);
    EXPECT_NO_THROW(reader.check_all());
  }
}

TEST_F(Log, ThatCannotBeBegunLeavesNoFile) {
  const auto file = folder_ / "tiny-disk.h5";
  WritingChild child(file, 10000);
  child.end();
  EXPECT_FALSE(std::filesystem::exists(file));
}

}  // namespace
}  // namespace samestep
