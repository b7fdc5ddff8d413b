// Records frame_child with a real recorder process, in a folder of its own.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "replay/run/manifest.h"

namespace samestep::testing {

using Words = std::vector<std::string>;

// A folder that is removed with its contents.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A started process, its standard output and error in files. In a process group of its own, like a shell's job.
class Process {
 public:
  // `before_exec` runs in the child just before the program starts.
  Process(const Words& argv, const Folder& folder, const std::function<void()>& before_exec = {});
  ~Process();  // kills what still runs

  [[nodiscard]] pid_t pid() const { return pid_; }
  void kill(int signal) const;
  void kill_group(int signal) const;
  // The exit code; 128 + n for death by signal n.
  int wait();
  [[nodiscard]] std::string output() const;
  [[nodiscard]] std::string error() const;

 private:
  std::filesystem::path output_, error_;
  pid_t pid_ = 0;
  bool waited_ = false;
};

[[nodiscard]] std::string text_of(const std::filesystem::path& file);
// Waits (10 s at most) until `condition`; false where it never came true.
bool eventually(const std::function<bool()>& condition);

// A run directory "run" in a folder of its own, and the words that record into it.
struct Recording {
  Folder folder;

  [[nodiscard]] std::filesystem::path run() const { return folder / "run"; }
  // record --run RUN `options` -- frame_child `child`, acknowledgements in "acknowledged", "finished" at its end.
  [[nodiscard]] Words words(const Words& child, const Words& options = {}) const;
  // Runs that to its end; the exit code. What was said is left in `said`.
  int record(const Words& child, const Words& options = {});
  [[nodiscard]] Manifest manifest() const { return read_manifest(run()); }
  // Every acknowledgement that the child wrote down.
  [[nodiscard]] std::vector<std::uint64_t> acknowledged() const;
  // Of the manifest, of one kind.
  [[nodiscard]] std::vector<Event> events(const std::string& kind) const;

  std::string said;
};

}  // namespace samestep::testing
