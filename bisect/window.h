// Which steps of the recording a trial replays: not all of them where it is known what to look at.
#pragma once

#include <cstdint>
#include <vector>

#include "replay/player/player.h"
#include "replay/run/run_reader.h"

namespace samestep {

struct TrialWindow {
  std::uint64_t from = 0;  // from <= t < to
  std::uint64_t to = 0;

  friend bool operator==(const TrialWindow&, const TrialWindow&) = default;
};

// Every recorded step: for the bad revision, of which nothing is known, and wherever each change counts.
[[nodiscard]] TrialWindow whole_run(const RunReader& recording);

// The bad revision first parts from the recording at `step`: what tells a revision that does so from one that does not
// is that step alone, and the nearest state from which it can be computed is the last anchor at or before it. A
// revision that parts elsewhere alone is the same here. `step` beyond the recording means that it ended too late: its
// last step.
[[nodiscard]] TrialWindow window_around(const RunReader& recording, std::uint64_t step);

// Whether a replay of the window is led to its anchor without computing, so that whatever depends on weights and stands
// in no anchor is another there.
[[nodiscard]] bool is_led_to(const RunReader& recording, ReplayOptions options, const TrialWindow& window);

// Where a window may begin without that all before it is computed: the first step and the anchors that a replay with
// these options can start from, rising. The first step alone for a program that no replay brings to an anchor, or,
// without a view, only by computing its way there.
[[nodiscard]] std::vector<std::uint64_t> window_starts(const RunReader& recording, const ReplayOptions& options,
                                                       bool in_views);

}  // namespace samestep
