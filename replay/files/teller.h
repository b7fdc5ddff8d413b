// Which calls are told, and how. Safe in any thread and in signal handlers: no locks, no memory but the stack and a
// fixed table.
#pragma once

#include <cerrno>
#include <cstddef>

#include "replay/files/notice.h"

namespace samestep::files {

// Gives errno back what it was.
class KeepErrno {
 public:
  KeepErrno() : number_(errno) {}
  ~KeepErrno() { errno = number_; }
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;

 private:
  int number_;
};

// What the recorder wished for when this process began.
[[nodiscard]] Wish wish();

// Tells of `path` as seen from the folder that descriptor `folder` (or AT_FDCWD) stands for, where `path` is null of
// what the descriptor itself stands for, unless the same was told before or it is a system's, a package's or a
// device's. Returns when it is answered, where it is a kind that is.
void tell(Kind kind, int folder, const char* path);

// True where something of that name is there; `follow`: where a link leads to.
[[nodiscard]] bool is_there(int folder, const char* path, bool follow);

}  // namespace samestep::files
