// The code that two runs' programs loaded, as their manifests list it: which modules have other bytes, which one side
// alone had loaded, which installed distributions have other versions.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "replay/compare/environment.h"

namespace samestep {

// True for an entry of `what.files` that is compared here, by module name, and not by its path.
[[nodiscard]] bool is_module(const nlohmann::json& file);

// The names of the distributions that came with loaded code on either side and have other versions. Their files differ
// for that reason alone.
[[nodiscard]] std::set<std::string> renewed_distributions(const nlohmann::json& a, const nlohmann::json& b);

// `a`, `b`: the manifest's `what` of both. Modules with other bytes (Kind::file), of one side only (Kind::loaded, if
// they were there at the first training event: what is imported later depends on how far a run came; and not if they
// are text encodings of Python's own library), versions of distributions (Kind::setting), the revision of the script's
// own repository (Kind::told). The package samestep computes nothing of a training: its modules and version are told.
[[nodiscard]] std::vector<EnvironmentDifference> code_differences(const nlohmann::json& a, const nlohmann::json& b);

}  // namespace samestep
