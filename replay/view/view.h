// replay/view/ runs a command in a view: private user, mount, PID and network namespaces in which some folders are
// copy-on-write, all else is read-only, and everything ends with the view. It knows nothing of runs and verdicts; it
// may include replay/{run,recorder}, no LibTorch. A list of folders comes in, a started command goes out (launch.h),
// and what the command wrote lies in a folder that goes with the view, unless it is kept.
//
//   places.h     which folders are laid over, which mounts lie beneath them
//   storage.h    where what is written lies
//   mounts.h     the view from inside: overlays, read-only, /proc, /dev/shm, the network
//   inside.h     the view's first process: starts the command, reaps, ends with the one that made it
//   messages.h   what it and its maker tell each other
//   kept_output.h     what was written, copied out
//   earlier_state.h   folders as they were before somebody wrote to them
//   refused_writes.h  what was refused, from the program's own words
//
// This header: a view.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "replay/recorder/launch.h"
#include "replay/run/error.h"
#include "replay/view/earlier_state.h"

namespace samestep {

// The kernel, or what this process runs in, allows no view. The text says which step was refused, and what to do.
class ViewRefused : public BrokenInput {
 public:
  using BrokenInput::BrokenInput;
};

struct ViewOptions {
  std::filesystem::path cwd;                   // of the command; absolute
  std::vector<std::filesystem::path> folders;  // laid over besides `cwd`, /tmp and TMPDIR; a file means its folder
  std::vector<std::filesystem::path> wished;   // laid over where they are there and can be, else read-only
  bool network = false;                        // the machine's, not loopback alone
  EarlierState before;                         // made so before the first command starts
};

// One view. What a command writes to the folders lies in a storage of the view's own, which goes with it; the folders
// themselves are never written to. Each start sees them as they are, with `before` made so, until settle() is called.
// Not thread-safe.
class View : public Enclosure {
 public:
  // Makes the storage. Throws ViewRefused where no disk here can hold one beside the folders, BrokenInput for a folder
  // that cannot be laid over (it is not there; it holds /, /proc or the like).
  explicit View(const ViewOptions& options);
  ~View() override;  // everything in it must have ended

  // Makes the namespaces and mounts once, and ends them. Throws ViewRefused.
  void probe();
  // Throws ViewRefused where probe() would. The Running ends everything in the view when it goes.
  [[nodiscard]] std::unique_ptr<Running> start(const Start& start, Ending& failed) override;

  // What the last start wrote is from now on there for every later one: a checkout, a build. REQUIRES that it was
  // started, and that everything in the view has ended.
  void settle();

  // The folders that are copy-on-write, by path; wished ones may be read-only, and hold another.
  [[nodiscard]] const std::vector<std::filesystem::path>& folders() const;
  // Where what is written lies meanwhile.
  [[nodiscard]] const std::filesystem::path& storage() const;
  // Copies what the last start wrote to DIR/<its absolute path>. Names of files that were removed go to
  // DIR/removed.txt, one a line, where there are any. REQUIRES that everything in the view has ended. Throws
  // BrokenInput where it cannot be written.
  void keep_output(const std::filesystem::path& folder) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samestep
