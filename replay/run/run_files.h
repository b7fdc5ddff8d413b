// Files of a run as its manifest names them.
#pragma once

#include <filesystem>
#include <string>

#include "kernels/digest.h"

namespace samestep {

// The path of `relative` in `run`. Throws BrokenInput for names that lead out of the run (absolute, "..") or through a
// symbolic link, and for what is not there or no regular file.
[[nodiscard]] std::filesystem::path run_file(const std::filesystem::path& run, const std::string& relative);

// The BLAKE3 of a whole file. Throws BrokenInput where it cannot be read.
[[nodiscard]] Digest file_digest(const std::filesystem::path& file);

}  // namespace samestep
