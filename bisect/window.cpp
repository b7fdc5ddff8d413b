#include "bisect/window.h"

#include <algorithm>

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

}  // namespace samestep
