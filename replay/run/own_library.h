// The library that the recorder preloads to see which files a program opens: it is mapped where files are watched, and
// by every replay in a view, and is no part of what was recorded.
#pragma once

namespace samestep {

inline constexpr const char* files_library = "libsamestep_files.so";

}  // namespace samestep
