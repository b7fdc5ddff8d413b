// Tests whose own program is the worker of the bisects it makes, as `samestep` is of its: executors start the program
// they run in.
#include <gmock/gmock.h>

#include <string_view>

#include "bisect/worker.h"

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "trial") return samestep::work(argv[2]);
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
