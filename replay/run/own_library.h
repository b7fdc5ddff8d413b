// Samestep's own libraries in a recorded program, by file name. They compute nothing of the training.
#pragma once

#include <array>

namespace samestep {

// Preloaded to see which files a program opens: mapped where files are watched, and by every replay in a view.
inline constexpr const char* files_library = "libsamestep_files.so";
// Of the Python package.
inline constexpr std::array package_libraries{"libsamestep_python.so", "libsamestep_cuda.so"};

}  // namespace samestep
