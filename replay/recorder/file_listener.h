// Hears what the preloaded library (replay/files/) tells of a program's files, beside the recorder's socket: one
// connection a notice, answered where the program waits. What comes is hostile until checked: a notice that is none is
// dropped, one that does not come in time, too.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "replay/files/notice.h"
#include "replay/recorder/descriptor.h"
#include "replay/recorder/pins.h"

namespace samestep {

// All calls come from one thread, in the order in which the programs made theirs. While a call runs that is answered,
// the program waits.
class FileSink {
 public:
  virtual ~FileSink() = default;
  // A process that carries the library begins.
  virtual files::Wish on_process(pid_t pid, const std::filesystem::path& program) = 0;
  // Any other kind. `path` is absolute, not resolved.
  virtual void on_notice(files::Kind kind, const std::filesystem::path& path) = 0;
};

class FileListener {
 public:
  // Listens in `folder`, the server's private one. `sink` must outlive it. Throws BrokenInput where it cannot.
  FileListener(const std::filesystem::path& folder, FileSink& sink);
  ~FileListener();  // finish()
  FileListener(const FileListener&) = delete;
  FileListener& operator=(const FileListener&) = delete;

  // Takes in what has been told so far, and hears no more. Idempotent.
  void finish();

 private:
  void run();
  void take_all();
  void take(const Descriptor& connection);

  FileSink& sink_;
  Descriptor listener_, waker_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

// Where the library lies: beside this program, in the wheel, an installation or a build folder. Nullopt where there is
// none: files are not watched then.
[[nodiscard]] std::optional<std::filesystem::path> preload_library();
// What a command's environment needs to carry `library`, before whatever else `environment` preloads.
[[nodiscard]] EnvironmentChanges preload_changes(const std::filesystem::path& library, const Environment& environment);

}  // namespace samestep
