#include "tests/bisect/made_repository.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "replay/recorder/launch.h"
#include "replay/recorder/program_output.h"

namespace samestep::testing {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

MadeRepository::MadeRepository(fs::path root) : root_(std::move(root)) {
  fs::create_directories(root_);
  sh("git init -q -b main");
}

std::string MadeRepository::sh(const std::string& script) const {
  SmallProgram program;
  program.argv = {"/bin/sh", "-ec", script};
  program.cwd = root_;
  program.patience = std::chrono::seconds(60);
  program.environment = environment_with({{"GIT_CONFIG_GLOBAL", "/dev/null"},
                                          {"GIT_CONFIG_NOSYSTEM", "1"},
                                          {"GIT_AUTHOR_NAME", "Ada"},
                                          {"GIT_AUTHOR_EMAIL", "ada@example.org"},
                                          {"GIT_AUTHOR_DATE", "2026-01-02T03:04:05+06:00"},
                                          {"GIT_COMMITTER_NAME", "Ada"},
                                          {"GIT_COMMITTER_EMAIL", "ada@example.org"},
                                          {"GIT_COMMITTER_DATE", "2026-01-02T03:04:05+06:00"}});
  const auto end = run_small(program);
  EXPECT_TRUE(end.has_value());
  if (!end) return "";
  EXPECT_EQ(end->code, 0) << script << "\n" << end->text << end->errors;
  return end->text;
}

void MadeRepository::write(const std::string& name, const std::string& text) const {
  fs::create_directories((root_ / name).parent_path());
  std::ofstream(root_ / name) << text;
}

std::string MadeRepository::commit(const std::string& subject) const {
  const std::string id = sh("git add -A; git commit -q --allow-empty -m '" + subject + "'; git rev-parse HEAD");
  return id.substr(0, id.find('\n'));
}

}  // namespace samestep::testing
