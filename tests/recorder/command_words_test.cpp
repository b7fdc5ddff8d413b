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

TEST(OptionAgainstHooks, IsPythonsOwnAndNotItsScripts) {
  EXPECT_EQ(option_against_hooks(Words{"python", "-I", "train.py"}), "-I");
  EXPECT_EQ(option_against_hooks(Words{"nice", "/usr/bin/python3.11", "-u", "-W", "error", "-sE", "train.py"}), "-sE");
  EXPECT_EQ(option_against_hooks(Words{"python", "-S", "-m", "train"}), "-S");
  EXPECT_EQ(option_against_hooks(Words{"python", "-Wignore::ImportWarning", "-X", "-I", "train.py", "-E"}), "");
  EXPECT_EQ(option_against_hooks(Words{"python", "-c", "-I"}), "");
  EXPECT_EQ(option_against_hooks(Words{"./train", "-I"}), "");
}

}  // namespace
}  // namespace samestep
