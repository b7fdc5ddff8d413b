// Makes the folder of a run, before the command starts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace samestep {

// "samestep-runs/<UTC time>-<program>" under `cwd`, made with a .gitignore of "*" in samestep-runs; a number is added
// where that name is taken. Throws BrokenInput where it cannot be made.
[[nodiscard]] std::filesystem::path make_default_run(const std::filesystem::path& cwd, const std::string& program,
                                                     std::int64_t utc_ns);
// A .gitignore of "*" in `folder`, where it has none: recorded runs are large and personal.
void hide_from_git(const std::filesystem::path& folder);
// Makes `run` itself. Throws BrokenInput where it exists and holds anything, or cannot be made.
void make_named_run(const std::filesystem::path& run);
// While it lives, no other recorder may write into `run` (an advisory lock on the folder). Throws BrokenInput where one
// does. On file systems without locks it holds nothing.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& run);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int folder_ = -1;
};

// Bytes of all files below `run`.
[[nodiscard]] std::uint64_t bytes_of_run(const std::filesystem::path& run);

}  // namespace samestep
