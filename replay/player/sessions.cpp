#include "replay/player/sessions.h"

#include <algorithm>
#include <set>

namespace samestep {

const nlohmann::json& session_at(const RunReader& run, std::uint64_t step) {
  return session_of(run.manifest(), run.segment_of(step));
}

Surroundings surroundings_at(const RunReader& run, std::uint64_t step) {
  return surroundings(run.manifest(), run.segment_of(step));
}

std::vector<std::uint64_t> parts_of(const RunReader& run, StepRange range) {
  std::set<std::uint64_t> borders{range.begin};
  for (const SegmentEntry& segment : run.manifest().segments) {
    if (segment.rank != run.rank() || segment.file.empty()) continue;
    borders.insert(segment.first_step);
    borders.insert(segment.first_step + segment.steps);  // an earlier one may go on behind it
  }
  std::vector<std::uint64_t> parts;
  std::optional<std::uint32_t> last;
  for (auto step = borders.lower_bound(range.begin); step != borders.end() && *step < range.end; ++step) {
    const std::uint32_t number = run.segment_of(*step).number;
    if (std::exchange(last, number) != number) parts.push_back(*step);
  }
  return parts;
}

std::uint64_t step_in_question(const Verdict& verdict, StepRange range) {
  return std::clamp(verdict.step.value_or(range.begin), range.begin, range.end - 1);
}

}  // namespace samestep
