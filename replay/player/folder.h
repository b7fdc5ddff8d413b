// The folder a replay leaves behind: what the program printed, the tensors of a divergent step, the verdict.
#pragma once

#include <filesystem>

#include "replay/player/player.h"

namespace samestep {

// Creates options.save, else options.folder, else samestep-runs/<UTC time>-replay-<run's name> in the current folder
// (with a .gitignore of "*" in samestep-runs). Throws BrokenInput where it cannot, or where a given one is not empty.
[[nodiscard]] std::filesystem::path make_replay_folder(const ReplayOptions& options);

// Creates options.keep_output, where that is given. Throws BrokenInput where it cannot, or where it is not empty.
void make_output_folder(const ReplayOptions& options);

// The last lines of a text file, for an answer that shows why a program failed; at most `lines`, each cut to a screen's
// width. Empty where there is no such file.
[[nodiscard]] std::vector<std::string> last_lines(const std::filesystem::path& file, std::size_t lines);

}  // namespace samestep
