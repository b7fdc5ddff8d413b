// What a command's words say of its program.
#include "replay/recorder/command_words.h"

#include <gtest/gtest.h>

#include <vector>

namespace samestep {
namespace {

using Words = std::vector<std::string>;

TEST(ProgramName, IsTheScriptsWhereAPythonRunsOne) {
  EXPECT_EQ(program_name(Words{"python", "-u", "-X", "dev", "src/train.py", "--lr", "1"}), "train.py");
  EXPECT_EQ(program_name(Words{"/usr/bin/python3.11", "-m", "pack.train"}), "pack.train");
  EXPECT_EQ(program_name(Words{"python", "-c", "pass"}), "python");
  EXPECT_EQ(program_name(Words{"python"}), "python");
  EXPECT_EQ(program_name(Words{"./my_trainer", "x.py"}), "my_trainer");
}

}  // namespace
}  // namespace samestep
