// Trainer and recorder killed with SIGKILL at random moments: whatever was acknowledged is there afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <random>
#include <thread>

#include "replay/run/run_reader.h"
#include "tests/recorder/recording.h"

namespace samestep::testing {
namespace {

constexpr int moments = 200;
constexpr std::uint64_t steps = 100000;  // more than can be made before the kill

struct Summary {
  std::vector<std::uint64_t> steps;
  std::uint64_t acknowledged = 0;
  void print(const char* who) {
    std::ranges::sort(steps);
    std::cout << who << " killed " << steps.size() << " times; steps recorded: least " << steps.front() << ", median "
              << steps[steps.size() / 2] << ", most " << steps.back() << "; acknowledged in all " << acknowledged
              << "\n";
  }
};

// The process that the recorder started, as it wrote itself down.
pid_t trainer_of(const Recording& recording) {
  const Manifest manifest = recording.manifest();
  return manifest.segments.at(0).process.at("pid").get<pid_t>();
}

void wait_for_the_first_step(const Recording& recording) {
  ASSERT_TRUE(eventually([&] { return !recording.acknowledged().empty(); }));
}

void check(const Recording& recording, Summary& summary) {
  const RunReader run(recording.run());
  const auto acknowledged = recording.acknowledged();
  ASSERT_FALSE(acknowledged.empty());
  EXPECT_GE(run.end_step(), acknowledged.back() + 1);
  EXPECT_EQ(run.first_step(), 0u);
  run.check_integrity();
  summary.steps.push_back(run.end_step());
  summary.acknowledged += acknowledged.size();
}

// Between the first step and one that a quarter of a second allows.
class Moments {
 public:
  void wait() { std::this_thread::sleep_for(std::chrono::microseconds(distribution_(random_))); }

 private:
  std::mt19937 random_{20261122};
  std::uniform_int_distribution<int> distribution_{0, 100000};
};

Words child() {
  return {"--steps", std::to_string(steps), "--sleep-us", "200"};
}

TEST(Kill, ATrainerKilledAtAnyMomentLosesNoAcknowledgedStep) {
  Moments moment;
  Summary summary;
  for (int i = 0; i < moments; ++i) {
    Recording recording;
    Process process(recording.words(child()), recording.folder);
    wait_for_the_first_step(recording);
    const pid_t trainer = trainer_of(recording);
    moment.wait();
    ::kill(trainer, SIGKILL);
    ASSERT_EQ(process.wait(), 128 + SIGKILL) << process.error();
    check(recording, summary);
    ASSERT_EQ(recording.manifest().segments.at(0).ended, "killed by signal 9");
    if (HasFatalFailure()) return;
  }
  summary.print("trainer");
}

TEST(Kill, ARecorderKilledAtAnyMomentLosesNoAcknowledgedStep) {
  Moments moment;
  Summary summary;
  for (int i = 0; i < moments; ++i) {
    Recording recording;
    Process process(recording.words(child()), recording.folder);
    wait_for_the_first_step(recording);
    moment.wait();
    process.kill(SIGKILL);
    process.wait();
    // It trains on; what it writes down from now on can only be acknowledgements that were already on their way.
    process.kill_group(SIGKILL);
    check(recording, summary);
    if (HasFatalFailure()) return;
  }
  summary.print("recorder");
}

}  // namespace
}  // namespace samestep::testing
