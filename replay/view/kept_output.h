// What was written in a view, copied out of it.
#pragma once

#include <filesystem>

#include "replay/view/earlier_state.h"

namespace samestep {

// Copies what the upper layer of an overlay at `at` holds to FOLDER/<the absolute path>: regular files and links as
// they are, without special modes; sockets, pipes and devices are left out. A file that was removed adds its path to
// FOLDER/removed.txt. What only makes the state before is left out. Throws BrokenInput where FOLDER cannot be written.
void keep_layer(const std::filesystem::path& at, const std::filesystem::path& upper,
                const std::filesystem::path& folder, const EarlierState& before);

}  // namespace samestep
