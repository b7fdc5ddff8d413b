// bisect/ finds the first step and the first revision at which training stopped reproducing a recorded run. The search
// is pure code over a trial callback; what a trial does with a revision stands beside it. It may include
// replay/{run,checkpoint,compare,recorder,view,player}; no HDF5, no LibTorch of its own. A run and two revisions come
// in, a culprit goes out, or what remains.
//
// This header: what is asked of a revision, and what it answers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replay/run/lanes.h"

namespace samestep {

// `untestable` where the revision does not build or start; `flaky` where the program differs from itself.
enum class TrialOutcome : std::uint8_t { same, diverged, flaky, untestable };
[[nodiscard]] std::string_view name(TrialOutcome outcome);

struct TrialAnswer {
  TrialOutcome outcome = TrialOutcome::untestable;
  // Of a divergence: the first step, lane and tensor that differ from the reference.
  std::optional<std::uint64_t> step;
  std::optional<Lane> lane;
  std::string tensor;
  // Chain head over the whole recorded length (hexadecimal), where every change is looked for: equal ones behave alike.
  // Empty where the trial replayed a window only.
  std::string behaviour;
  // One sentence: why it is untestable or flaky, what differs. For people; never decides anything.
  std::string why;
  std::uint64_t steps_replayed = 0;  // what the trial cost; 0 where it was answered from the cache
};

// What most of the answers about one revision say: same or diverged where any of them does, else flaky before
// untestable. REQUIRES at least one.
[[nodiscard]] TrialOutcome mostly(const std::vector<TrialAnswer>& answers);

// Asks one revision, named by its commit id (40 or 64 hexadecimal digits), once. May throw BrokenInput for a machine on
// which no trial can run at all (a full disk, no git).
using Trial = std::function<TrialAnswer(const std::string& commit)>;

}  // namespace samestep
