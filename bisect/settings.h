// How a bisect's trials are made, as its log keeps it: one JSON object, in which what is left out is as if nobody had
// said anything. A search that goes on takes from it what its own command line does not say, and refuses what that says
// otherwise: answers to other questions are no answers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bisect/bisect.h"

namespace samestep {

// "repository", "run", "manifest" (the run's, its digest), "steps", "bad_run", "command", "build", "build_limits",
// "limits", "paths", "view", "links", "network", "in_place", "ignore_environment". Paths are absolute, those of `paths`
// and `links` as they were given. Without `run` neither it nor its digest.
[[nodiscard]] nlohmann::json logged_settings(const BisectOptions& options);

// Fills in what `options` leaves out. `origin` names the log. Throws BrokenInput where both say something and not the
// same (a repository and a run may have moved, as long as the run is the same one), and for settings that are none.
void take_settings(BisectOptions& options, const nlohmann::json& settings, const std::string& origin);

}  // namespace samestep
