// A view's first process. It makes the mounts, starts the command, passes signals on, reaps whatever is left to it, and
// ends when its maker does; with it everything in the view ends.
#pragma once

#include "replay/recorder/descriptor.h"
#include "replay/recorder/launch.h"
#include "replay/view/earlier_state.h"
#include "replay/view/mounts.h"

namespace samestep {

struct Inside {
  MountPlan mounts;
  const EarlierState* before = nullptr;  // null: the folders stay as they are. Not owned
  const Start* start = nullptr;          // null: all is made but a command started. Not owned
  int lock = -1;                         // kept open as long as the first process lives. Not owned
  unsigned processes_before = 0;         // so many numbers of processes are used up before the command gets one
};

// Enters the namespaces, forks the first process and waits for its end. `socket` leads to the maker. REQUIRES to be
// called in a forked child, which ends here.
[[noreturn]] void live_inside(const Inside& inside, Descriptor socket) noexcept;

}  // namespace samestep
