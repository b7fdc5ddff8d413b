// A git repository made for one test, by the git program, under no configuration but its own.
#pragma once

#include <filesystem>
#include <string>

#include "tests/player/written_run.h"

namespace samestep::testing {

class MadeRepository {
 public:
  // An empty one at `root`, which is made. Its branch is "main".
  explicit MadeRepository(std::filesystem::path root);

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return root_ / name; }
  // The shell's, in the root, with `git` set up; fails the test where it does not succeed. Standard output.
  std::string sh(const std::string& script) const;
  // Writes a file in the root, its folder with it.
  void write(const std::string& name, const std::string& text) const;
  // Everything that is there but ignored files, as one commit; its id.
  std::string commit(const std::string& subject) const;

 private:
  std::filesystem::path root_;
};

[[nodiscard]] std::string text_of(const std::filesystem::path& file);

}  // namespace samestep::testing
