#include "bisect/window.h"

#include <algorithm>
#include <set>

#include "replay/player/plan.h"

namespace samestep {

TrialWindow whole_run(const RunReader& recording) {
  return {recording.first_step(), recording.end_step()};
}

TrialWindow window_around(const RunReader& recording, std::uint64_t step) {
  if (recording.end_step() == recording.first_step()) return whole_run(recording);
  step = std::clamp(step, recording.first_step(), recording.end_step() - 1);
  const AnchorEntry* anchor = recording.anchor_before(step);
  const std::uint64_t from = anchor == nullptr ? recording.first_step() : anchor->step;
  return {std::max(from, recording.first_step()), step + 1};
}

bool is_led_to(const RunReader& recording, ReplayOptions options, const TrialWindow& window) {
  options.from = window.from;
  options.to = window.to;
  const Plan plan = plan_replay(recording, options);
  return plan.anchor && plan.fast_forward;
}

std::vector<std::uint64_t> window_starts(const RunReader& recording, const ReplayOptions& options, bool in_views) {
  std::set<std::uint64_t> starts{recording.first_step()};
  if (recording.end_step() == recording.first_step()) return {starts.begin(), starts.end()};
  for (const AnchorEntry& anchor : recording.manifest().anchors) {
    if (!recording.is_in_line(anchor) || anchor.step >= recording.end_step() || anchor.step < recording.first_step())
      continue;
    ReplayOptions from_there = options;
    from_there.from = anchor.step;
    from_there.to = recording.end_step();
    const Plan plan = plan_replay(recording, from_there);
    if (plan.anchor && (in_views || !plan.fast_forward)) starts.insert(anchor.step);
  }
  return {starts.begin(), starts.end()};
}

}  // namespace samestep
