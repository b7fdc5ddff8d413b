// The submodules of a checkout: what a revision has of them, and what their own configurations name. Their repositories
// came from somebody else as the checkout's did, so nothing that they name is started either (replay/recorder/git.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bisect/repository.h"

namespace samestep {

// The paths of those that the checkout's index has and `commit` has not.
[[nodiscard]] std::vector<std::string> submodules_not_in(const Repository& repository, const std::string& commit);

// Settings that make checking `commit` out with its submodules start nothing that one of them names, those of theirs
// included: harmless_settings() of each repository that git could take for one. Throws BrokenInput where one of these
// cannot be read.
[[nodiscard]] std::map<std::string, std::string> harmless_settings_of_submodules(const Repository& repository,
                                                                                 const std::string& commit);

}  // namespace samestep
