// Which session recorded which steps: a run that was added to (`record --continue`) has a command, a folder, pins and
// files for each time.
#pragma once

#include <vector>

#include "replay/compare/environment.h"
#include "replay/compare/search.h"
#include "replay/run/run_reader.h"

namespace samestep {

// Of the session that recorded `step`. Both throw BrokenInput where the run does not hold it.
[[nodiscard]] const nlohmann::json& session_at(const RunReader& run, std::uint64_t step);
[[nodiscard]] Surroundings surroundings_at(const RunReader& run, std::uint64_t step);

// The first step of each part of `range` that one segment gives, ascending. REQUIRES the run to hold the range.
[[nodiscard]] std::vector<std::uint64_t> parts_of(const RunReader& run, StepRange range);

// The step whose surroundings are in question: where a verdict names one, that step (the last of `range` where the step
// is beyond it).
[[nodiscard]] std::uint64_t step_in_question(const Verdict& verdict, StepRange range);

}  // namespace samestep
