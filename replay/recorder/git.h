// The git program, asked in such a way that a repository of somebody else's starts nothing: no hook, filter, pager,
// signature program, transport or monitor that its own configuration names. What the user's own or the system's
// configuration names (git-lfs, say) goes on to work.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "replay/recorder/launch.h"

namespace samestep {

class Git {
 public:
  // Of the repository that `folder` lies in. Throws BrokenInput where there is no git program, or no repository that
  // git would read (another user's, say), with git's own words. `patience`: with each answer.
  explicit Git(const std::filesystem::path& folder, std::chrono::seconds patience = std::chrono::seconds(60));

  struct Answer {
    std::string text;  // standard output
    bool cut = false;  // it was longer than what was asked for
    int code = 0;
    std::string errors;  // the first line of what git said about it
  };
  // Standard output, at most `limit` bytes; for commands that read. Throws BrokenInput where git cannot be started or
  // takes longer than it may.
  [[nodiscard]] Answer try_to(std::vector<std::string> words, std::size_t limit = most) const;
  // The same, where git must succeed and its answer must be whole: throws BrokenInput "DOING: what git said".
  [[nodiscard]] std::string ask(const std::string& doing, std::vector<std::string> words,
                                std::size_t limit = most) const;

  // For a git that runs in a view: what makes it as harmless as the others, laid over the caller's variables.
  [[nodiscard]] const EnvironmentChanges& environment() const { return environment_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  // Names of the filters (gitattributes(5)) that only the repository's own configuration sets: they are not run.
  [[nodiscard]] const std::vector<std::string>& filters_left_out() const { return filters_left_out_; }

 private:
  static constexpr std::size_t most = std::size_t{256} << 20;  // a million commits with their parents
  std::filesystem::path folder_;
  std::chrono::seconds patience_;
  EnvironmentChanges environment_;
  std::vector<std::string> filters_left_out_;
};

// Of the NUL-separated text of `git config --list --show-scope -z`: what has to stand in place of each setting that
// names a program, or says whose signatures are good, and that the repository itself made: the user's or the system's
// value, else git's own.
[[nodiscard]] std::map<std::string, std::string> harmless_settings(const std::string& listed);

// Adds settings to those that git takes from its environment, after them: any name and value.
void add_settings(EnvironmentChanges& changes, const std::map<std::string, std::string>& settings);

}  // namespace samestep
