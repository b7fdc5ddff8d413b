// Bisects of a made repository by the `samestep` program itself; the program that a revision holds is a shell script
// around one that speaks frames. From the sixth of eight commits on, step 12 differs from the run's; the fourth is
// untestable.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/bisect/made_repository.h"
#include "tests/player/written_run.h"

namespace samestep::testing {

class Bisecting : public ::testing::Test {
 protected:
  Bisecting() {
    made_.write(".gitignore", "run\nother\n");
    for (const char* name : {"run", "other"}) {
      WrittenRun run;
      run.argv = {"/bin/sh", "run.sh"};
      if (std::string(name) == "other") run.steps = 30;
      write(run, made_ / name);
    }
    for (const char* words : {"", "# 1", "# 2", "exit 3", "# 4"}) commits_.push_back(program(words, ""));
    for (const char* words : {"# 5", "# 6", "# 7"}) commits_.push_back(program(words, " --edit gradients:12"));
    ends_ = "--good " + commits_.front() + " --bad " + commits_.back();
  }
  std::string program(const std::string& line, const std::string& words) {
    made_.write("run.sh", line + "\nexec " SAMESTEP_FRAMES_TRAINER + words + "\n");
    return made_.commit("Say <" + line + "> & more");
  }
  // The exit code of `samestep WORDS` in the checkout, with a cache of answers of its own.
  int samestep(const std::string& words) {
    const std::string line = "cd " + made_.root().string() + " && XDG_CACHE_HOME=" + (folder_ / "cache").string() +
                             "; export XDG_CACHE_HOME; { " SAMESTEP_PROGRAM " " + words + "; } >" +
                             (folder_ / "out").string() + " 2>" + (folder_ / "errors").string() + " </dev/null";
    const int status = std::system(line.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  nlohmann::json bisect(const std::string& words, int code = 0) {
    EXPECT_EQ(samestep("bisect --json " + words), code) << out() << errors();
    return nlohmann::json::parse(out(), nullptr, false);
  }
  void expect_refused(const std::string& words, const std::string& why) {
    EXPECT_EQ(samestep("bisect " + words), 2) << out();
    const std::string said = errors();
    EXPECT_THAT(said, ::testing::HasSubstr(why));
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  }
  [[nodiscard]] std::string out() const { return text_of(folder_ / "out"); }
  [[nodiscard]] std::string errors() const { return text_of(folder_ / "errors"); }
  [[nodiscard]] std::filesystem::path log() const { return folder_ / "bisected/bisect.log"; }
  [[nodiscard]] std::string own_folder() const { return " --folder " + (folder_ / "bisected").string(); }
  [[nodiscard]] std::string resume() const { return " --resume " + (folder_ / "bisected").string(); }
  std::vector<std::string> lines() const {
    std::istringstream in(text_of(log()));
    std::vector<std::string> result;
    for (std::string line; std::getline(in, line);) result.push_back(line + "\n");
    return result;
  }
  void rewrite(const std::vector<std::string>& lines) const {
    std::ofstream out(log(), std::ios::trunc);
    for (const std::string& line : lines) out << line;
  }
  [[nodiscard]] static bool is_answer(const std::string& line) {
    return line.starts_with("samestep bisect ") && line.find(" --trial ") != std::string::npos;
  }
  [[nodiscard]] std::size_t trials_made() const {
    std::error_code error;
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_ / "bisected/trials", error),
                      std::filesystem::directory_iterator()));
  }

  Folder folder_;
  MadeRepository made_{folder_ / "project"};
  std::vector<std::string> commits_;
  std::string ends_;
};

}  // namespace samestep::testing
