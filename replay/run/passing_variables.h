// The environment variables that are others at every login, job or build: no training reads them, and where they differ
// nothing is to be said. And which of the others are a person's own.
#pragma once

#include <string>

namespace samestep {

// docs/bisect.md lists them.
[[nodiscard]] bool is_passing(const std::string& name);
// True of what a person may have set for a program: it is none of those, none of Samestep's own, and none by which git
// tells the programs that it starts where they are.
[[nodiscard]] bool is_of_the_users(const std::string& name);

}  // namespace samestep
