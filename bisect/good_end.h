// A bisect's good end that no longer reproduces the run: its cause is no commit.
#pragma once

#include <iosfwd>
#include <string>

#include "bisect/bisect.h"

namespace samestep {

// Where the search ended because an end is not as claimed, or nothing could be tried: replays the good revision once
// more, and where it is that which differs, fills in `report.around` and concludes so. Throws TrialInterrupted.
void look_around_the_good(BisectReport& report, const BisectOptions& options, const std::string& good);

// What differs, and the command that goes on; nothing where the good revision still does what it did.
void add_to_json(nlohmann::json& json, const ChangedAround& around);
std::ostream& operator<<(std::ostream& out, const ChangedAround& around);

}  // namespace samestep
