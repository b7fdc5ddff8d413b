// A replay that answers for `git bisect run`: the revision is the one that git has checked out, in the checkout itself.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "bisect/repository.h"
#include "replay/player/player.h"

namespace samestep {

// Where a recorded session ran, in this checkout: the run may have been recorded in another clone. A folder outside of
// the clone that it was recorded in stays as it is; the checkout's top where none was recorded. `session`: what the
// manifest says of it.
[[nodiscard]] std::filesystem::path folder_in_checkout(const Repository& repository, const nlohmann::json& session);

// Fits the options to the checkout around the current folder: the program runs there and not where it was recorded, its
// code differs on purpose, and tracked files stay as the revision has them, even where the recording changed them.
// Throws BrokenInput outside of a checkout, for a run that cannot be read, and for a window that the run does not hold:
// no revision could answer for it.
void replay_in_checkout(ReplayOptions& options);

// git bisect's exit code for one of `samestep replay`: 0 and 1 stay; untestable, flaky and incomparable skip the
// revision (125); everything else ends the bisect, as 128 or more does (128 + n after signal n stays).
[[nodiscard]] int git_bisect_code(int exit_code);

}  // namespace samestep
