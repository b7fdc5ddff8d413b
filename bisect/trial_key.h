// What every trial's answer depends on, of revisions and of environments alike: the part of the key that answers are
// kept under which both have in common. An answer is taken only where all of it is equal.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bisect/window.h"
#include "replay/player/player.h"

namespace samestep {

struct TrialKey {
  const ReplayOptions& replaying;
  const std::string& build;
  const Limits& build_limits;
  const TrialWindow& window;
  const nlohmann::json& what;  // of the recorded session
  std::uint64_t sample = 0;    // asking again is another question
  // Which machines trials run on, where that is not this one; empty: this one's processor and GPUs.
  std::string machines = {};
};

// An object. Throws BrokenInput where the run cannot be read.
[[nodiscard]] nlohmann::json to_json(const TrialKey& key);

}  // namespace samestep
