// The harness itself: kernels that are wrong on purpose must be seen.
#include "tests/kernels/fibers.h"

#include <gtest/gtest.h>

#include <set>

namespace samestep::fibers {
namespace {

constexpr unsigned threads = 64;

struct Exchange {
  unsigned value[threads];
};

// Every thread writes its slot and reads its neighbour's.
template <bool with_barrier>
std::vector<unsigned> exchange(Schedule schedule) {
  std::vector<unsigned> out(3 * threads);
  launch<Exchange>(3, threads, schedule, [&](Thread& thread, Exchange& shared) {
    shared.value[thread.index] = thread.block * threads + thread.index;
    if (with_barrier) thread.sync();
    out[thread.block * threads + thread.index] = shared.value[(thread.index + 1) % threads];
  });
  return out;
}

std::vector<unsigned> expected_exchange() {
  std::vector<unsigned> expected;
  for (unsigned block = 0; block < 3; ++block)
    for (unsigned i = 0; i < threads; ++i) expected.push_back(block * threads + (i + 1) % threads);
  return expected;
}

TEST(Fibers, RunACorrectKernelTheSameInEverySchedule) {
  for (const Schedule schedule : schedules) EXPECT_EQ(exchange<true>(schedule), expected_exchange());
}

TEST(Fibers, ShowAMissingBarrierInEverySchedule) {
  for (const Schedule schedule : schedules) EXPECT_NE(exchange<false>(schedule), expected_exchange());
}

// The barrier between reading and the next level's writing is left out: right in one order, wrong in another.
TEST(Fibers, ShowADependenceOnTheOrderOfThreads) {
  std::set<std::vector<unsigned>> answers;
  for (const Schedule schedule : schedules) {
    std::vector<unsigned> out(threads);
    launch<Exchange>(1, threads, schedule, [&](Thread& thread, Exchange& shared) {
      shared.value[thread.index] = thread.index;
      thread.sync();
      shared.value[thread.index] += shared.value[(thread.index + 1) % threads];
      thread.sync();
      out[thread.index] = shared.value[thread.index];
    });
    answers.insert(out);
  }
  EXPECT_GT(answers.size(), 1u);
}

TEST(Fibers, RefuseABarrierThatSomeThreadsSkip) {
  for (const Schedule schedule : schedules)
    EXPECT_THROW(launch<NoSharedMemory>(1, threads, schedule,
                                        [](Thread& thread, NoSharedMemory&) {
                                          if (thread.index != 5) thread.sync();
                                        }),
                 DivergentBarrier);
}

TEST(Fibers, RunEveryThreadOfEveryBlockOnce) {
  for (const Schedule schedule : schedules) {
    std::vector<int> runs(7 * threads);
    launch<NoSharedMemory>(7, threads, schedule, [&](Thread& thread, NoSharedMemory&) {
      thread.sync();
      ++runs[thread.block * threads + thread.index];
    });
    EXPECT_EQ(runs, std::vector<int>(7 * threads, 1));
  }
}

}  // namespace
}  // namespace samestep::fibers
