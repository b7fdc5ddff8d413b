// A bisect over lock files instead of commits: an ordered list of files that pin package versions, the first of which
// reproduces the run and the last of which does not. The search is the same; a trial runs the program in the file's own
// environment.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bisect/answer.h"
#include "bisect/environment_bisect.h"
#include "bisect/lock_environment.h"

namespace samestep {

struct RequirementsBisectOptions {
  EnvironmentBisectOptions shared;           // run, folder, replay, good, repository, build, cache; no other run
  std::vector<std::filesystem::path> locks;  // oldest first, two at least
  LockEnvironmentOptions environments;
};

struct RequirementsReport {
  BisectAnswer answer;               // names lock files, as they were given, where others name commits
  std::vector<std::string> changes;  // of a culprit against the file before it: "scaling: 1.0 -> 1.1"
  std::filesystem::path before;      // that file
  std::filesystem::path log;         // of the search
};

// Throws as bisect_environment(), and BrokenInput for fewer than two files, one that cannot be read, a base that is no
// Python, a command that names its Python by path. REQUIRES the main thread (see launch()).
[[nodiscard]] RequirementsReport bisect_requirements(const RequirementsBisectOptions& options);

[[nodiscard]] nlohmann::json to_json(const RequirementsReport& report);
std::ostream& operator<<(std::ostream& out, const RequirementsReport& report);

}  // namespace samestep
