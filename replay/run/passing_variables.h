// The environment variables that are others at every login, job or build: no training reads them, and where they differ
// nothing is to be said.
#pragma once

#include <string>

namespace samestep {

// docs/bisect.md lists them.
[[nodiscard]] bool is_passing(const std::string& name);

}  // namespace samestep
