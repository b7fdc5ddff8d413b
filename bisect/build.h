// The build of a revision that is checked out.
#pragma once

#include <filesystem>
#include <string>

#include "bisect/checkout.h"
#include "replay/player/player.h"

namespace samestep {

// Runs a shell's command in `root`, in the enclosure (null: as a child like any other), with nothing on its standard
// input; `output` is a new file for what it prints. What it left is not settled yet.
[[nodiscard]] Prepared build_in(Enclosure* enclosure, const std::filesystem::path& root, const std::string& command,
                                const Limits& limits, const std::filesystem::path& output);

// Checks `commit` out in the view, builds it where `build` is not empty, and settles both. What is printed goes to
// FOLDER/checkout.txt and FOLDER/build.txt. REQUIRES as check_out().
[[nodiscard]] Prepared prepare(View& view, const Repository& repository, const std::string& commit,
                               const std::string& build, const Limits& limits, const std::filesystem::path& folder);

// The replay of a commit in a view that is made for it: options.view gets the checkout's folders, options.prepare the
// above. `asked_to_stop` is set where that was interrupted. Throws BrokenInput where the view's disk is full.
[[nodiscard]] ReplayAnswer replay_revision(ReplayOptions options, const Repository& repository,
                                           const std::string& commit, const std::string& build, const Limits& limits,
                                           const std::filesystem::path& folder);

}  // namespace samestep
