// From what the replays found to one verdict. Pure: no process, no file but the recording.
#pragma once

#include "replay/compare/environment.h"
#include "replay/player/plan.h"
#include "replay/player/watch.h"
#include "replay/recorder/launch.h"
#include "replay/recorder/seeds.h"

namespace samestep {

// How one replay went.
struct Pass {
  Findings findings;
  Ending ending;
  std::vector<std::string> output;                  // the program's last lines
  std::vector<Seed> seeds{};                        // that its processes asked for
  std::vector<std::filesystem::path> refused = {};  // writes that the view refused
};

// The verdict of a single replay: `same`, `diverged` (to be confirmed by a second one), or `incomparable`.
[[nodiscard]] Verdict judge(const StepSource& recording, const Plan& plan, const Pass& pass);

// What a second replay of the same window says about a divergence that the first one met: it stays `diverged` where
// both replays agree up to that step, else it becomes `flaky`, class nondeterministic.
void confirm(Verdict& verdict, const Plan& plan, const Pass& first, const Pass& second);

// A third replay, from an anchor after a divergence that both replays agree on and that nothing around the run
// explains, did what was recorded: the recorded step itself was the odd one out.
void call_one_off(Verdict& verdict, const Plan& after);

}  // namespace samestep
