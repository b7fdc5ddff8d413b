// At which step of the uninterrupted run a resume took up, told by the weights that it starts with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "replay/recorder/continuation.h"

namespace samestep {

struct TakeUp {
  std::optional<std::uint64_t> step;  // nullopt: no recorded step has these weights
  bool ambiguous = false;             // other steps that the killed run reached have these weights, too
  OptimizerFit optimizer = OptimizerFit::unknown;
  std::string text;  // which step, and what of it fits
};

// Of `candidates` (steps that can follow on the weights, the latest first) the one that a resume of a program took up
// that was killed before it made step `reach`: the latest up to there, since a checkpoint cannot hold a later one; else
// the earliest of the others. `fits` says of a step whether the optimizer's state is that of the step before: where it
// is for one of several, that one.
[[nodiscard]] TakeUp choose_step(const std::vector<std::uint64_t>& candidates, std::uint64_t reach,
                                 const std::function<bool(std::uint64_t)>& fits);

// For a session of `rank` that starts from `start`: how it goes on after `whole`, which is read anew; stores in
// `take_up` what was found. Throws BrokenInput where the run cannot be read.
[[nodiscard]] Continuation take_up(const std::filesystem::path& whole, std::uint32_t rank, const protocol::Start& start,
                                   std::uint64_t reach, TakeUp& found);

}  // namespace samestep
