// A repository whose history is bisected by the `samestep` program itself: its programs are scripts around one that
// speaks frames, so that a trial takes milliseconds.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "replay/recorder/launch.h"
#include "tests/bisect/made_repository.h"

namespace samestep::testing {

class BisectedProject {
 public:
  struct Answer {
    int code = -1;  // 128 + n for death by signal n
    nlohmann::json json;
    std::string errors;
    std::string said;  // all of what it printed, for the message of a test that fails

    [[nodiscard]] std::string culprit() const;
    [[nodiscard]] int rounds() const { return json.value("rounds", -1); }
  };

  // `count` commits; from the `changed`-th on (from 0) the loss of step 9 is another one. `before` are a shell's lines
  // that each program begins with, but for those of the first and the last commit; "$REVISION" is its number.
  BisectedProject(const Folder& folder, std::size_t count, std::size_t changed, const std::string& before = "");

  [[nodiscard]] const std::vector<std::string>& commits() const { return commits_; }
  // Runs `samestep bisect run --good FIRST --bad LAST --json OPTIONS`, its answers kept in `cache`; what it leaves goes
  // to `name`, both below the folder. Without "run" where the options end with "-- COMMAND". In worktrees where this
  // machine allows no view.
  [[nodiscard]] Answer bisect(const std::string& name, const std::string& cache, const std::string& options = "",
                              const EnvironmentChanges& environment = {}) const;
  // The same, going on while the test does: its process id, and the answer when it has ended.
  [[nodiscard]] pid_t start(const std::string& name, const std::string& cache, const std::string& options = "",
                            const EnvironmentChanges& environment = {}) const;
  [[nodiscard]] Answer wait_for(pid_t pid, const std::string& name) const;

  [[nodiscard]] std::filesystem::path folder_of(const std::string& name) const { return folder_ / name; }
  // Of the bisect `name`: trials that were begun, and those that left an answer.
  [[nodiscard]] std::size_t begun(const std::string& name) const;
  [[nodiscard]] std::size_t finished(const std::string& name) const;
  [[nodiscard]] std::size_t kept(const std::string& cache) const;
  // What a bisect must leave as it is: the checkout with git's files, worktrees, the mounts here.
  [[nodiscard]] std::string surroundings() const;

 private:
  const Folder& folder_;
  MadeRepository made_;
  std::vector<std::string> commits_;
};

// A process, zombies left out, whose command line holds `word`.
[[nodiscard]] bool some_process_has(const std::string& word);
// Asks for up to a minute.
[[nodiscard]] bool comes_true(const std::function<bool()>& condition);

}  // namespace samestep::testing
