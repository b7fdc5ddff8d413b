// A task that throws, with or without memory to say so, must end neither the thread nor the recorder.
#include "replay/recorder/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <vector>

namespace samestep {
namespace {

TEST(Worker, GoesOnAfterATaskThatThrows) {
  std::vector<std::string> complaints;
  int done = 0;
  Worker worker([&](const std::string& what) { complaints.push_back(what); });
  worker.add([] { throw std::runtime_error("the disk is on fire"); });
  worker.add([] { throw 7; });
  worker.add([&] { ++done; });
  worker.finish();
  EXPECT_EQ(done, 1);
  EXPECT_THAT(complaints, ::testing::ElementsAre("the disk is on fire"));
}

TEST(Worker, GoesOnWhereEvenComplainingFails) {
  int done = 0;
  Worker worker([](const std::string&) { throw std::bad_alloc(); });
  worker.add([] { throw std::bad_alloc(); });
  worker.add([&] { ++done; });
  worker.finish();
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace samestep
