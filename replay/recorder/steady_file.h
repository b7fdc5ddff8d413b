// A client's file as it may be mapped and read at leisure: nobody can shorten it (which would end us with SIGBUS) or
// change what has been checked already.
#pragma once

#include <cstdint>
#include <string>

#include "replay/recorder/descriptor.h"

namespace samestep {

// A descriptor of the same contents whose size and bytes stay as they are: the file itself where it takes seals (a
// memfd), else a copy in memory. Throws BrokenInput that begins with `what` for anything but a regular file or memfd (a
// pipe, a folder, a device), for more than `limit` bytes, and for a file that became shorter while it was copied.
[[nodiscard]] Descriptor steady_file(const Descriptor& file, std::uint64_t limit, const std::string& what);

}  // namespace samestep
