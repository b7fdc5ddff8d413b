// A handle on a process that stays right when its number is given to another one (pidfd_open(2), Linux 5.3).
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include "replay/recorder/descriptor.h"

namespace samestep {

// Becomes readable when the process ends; empty where there is no such process. The system call itself: glibc 2.36
// declares pidfd_open without C linkage.
[[nodiscard]] inline Descriptor open_process(pid_t pid) {
  return Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

}  // namespace samestep
