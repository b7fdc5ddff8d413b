// Writes that a view refused, as the program told of them in its own words.
#pragma once

#include <filesystem>
#include <vector>

namespace samestep {

// Paths in quotes on the lines of `output` (its last MiB) that speak of a read-only file system, as Python and most
// libraries write them; in order of appearance, each once, at most ten.
[[nodiscard]] std::vector<std::filesystem::path> refused_writes(const std::filesystem::path& output);

// The innermost folder at or above `path` that is there: what --view can name to allow the write.
[[nodiscard]] std::filesystem::path folder_to_allow(const std::filesystem::path& path);

}  // namespace samestep
