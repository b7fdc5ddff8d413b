// Where a session goes on that is not its run's first: after the step whose weights it starts from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "replay/recorder/protocol.h"
#include "replay/run/step_source.h"

namespace samestep {

struct Continuation {
  std::uint64_t first_step = 0;
  Digest chain_before;                        // of the step before first_step; zeros where that is 0
  std::shared_ptr<const StepSource> overlap;  // the steps from first_step on that the run has already; may be empty
  std::string text;                           // which step, and what of it fits: weights, optimizer
};

// For a session of `rank` that starts from `start`: after the last step that left these weights (from
// step 0 where the run's first step started from them: a restart); else after the last step. A rank without steps
// begins at 0. `run` must be readable as it lies on disk (its manifest renewed). Throws BrokenInput where it is
// damaged.
[[nodiscard]] Continuation continue_run(const std::filesystem::path& run, std::uint32_t rank,
                                         const protocol::Start& start);

}  // namespace samestep
