// Where a session goes on that is not its run's first: after the step whose weights it starts from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replay/recorder/protocol.h"
#include "replay/run/run_reader.h"

namespace samestep {

// How the optimizer's state at a session's start stands to the one that the run had after the step before.
enum class OptimizerFit : std::uint8_t {
  unknown,  // none was ever there, or it was not recorded at that step
  equal,
  lost,   // the program holds none, and the run did
  other,  // that of another step, or of none
};

struct Continuation {
  std::uint64_t first_step = 0;
  Digest chain_before;                        // of the step before first_step; zeros where that is 0
  std::shared_ptr<const StepSource> overlap;  // the steps from first_step on that the run has already; may be empty
  std::string text;                           // which step, and what of it fits: weights, optimizer
  bool by_weights = false;                    // a recorded step left these weights; else it is counted on
  OptimizerFit optimizer = OptimizerFit::unknown;
};

// The steps that can follow on `weights`, the latest first, at most `most`. (A skipped update leaves the weights of the
// one before.) Throws as RunReader::record().
[[nodiscard]] std::vector<std::uint64_t> steps_that_follow(const RunReader& run, const Digest& weights,
                                                           std::size_t most);
// A session that goes on at `step` of `run`, or, nullopt, after its last step.
[[nodiscard]] Continuation continue_at(std::shared_ptr<const RunReader> run, std::optional<std::uint64_t> step,
                                       const protocol::Start& start);

// For a session of `rank` that starts from `start`: after the last step that left these weights (from
// step 0 where the run's first step started from them: a restart); else after the last step. A rank without steps
// begins at 0. `run` must be readable as it lies on disk (its manifest renewed). Throws BrokenInput where it is
// damaged.
[[nodiscard]] Continuation continue_run(const std::filesystem::path& run, std::uint32_t rank,
                                        const protocol::Start& start);

}  // namespace samestep
