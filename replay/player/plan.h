// Which steps a replay runs, compares and is asked for.
#pragma once

#include <optional>

#include "replay/player/player.h"
#include "replay/run/run_reader.h"

namespace samestep {

struct Plan {
  std::uint64_t from = 0;  // asked for: from <= t < to
  std::uint64_t to = 0;
  std::uint64_t first_step = 0;  // the first that runs: the anchor's S, or the start; steps before `from` are warm-up
  std::optional<AnchorEntry> anchor;
  // With an anchor: the first step of the process that cut it. A program that cannot jump runs from there.
  std::uint64_t session_first_step = 0;
  bool fast_forward = false;       // it is such a program, and was not asked to jump
  std::string start;               // empty, or why it begins at the start although there is an anchor
  std::uint64_t session_ends = 0;  // the first step of the window that another process recorded; 0: there is none
  bool whole = true;               // every step asked for was recorded
  bool ends_there = false;  // the recorded program ended by itself behind the window: one more step is a difference
  std::string remark;       // empty, or how the window was cut to what was recorded
  std::string sessions;     // empty, or that the window holds steps of several sessions
  std::string refusal;      // not empty: nothing can be compared, and why
};

// The same window, reached without an anchor: all from the process's first step is computed.
[[nodiscard]] Plan without_anchor(Plan plan);

// Throws BrokenInput where from >= to is asked for.
[[nodiscard]] Plan plan_replay(const RunReader& recording, const ReplayOptions& options);

}  // namespace samestep
