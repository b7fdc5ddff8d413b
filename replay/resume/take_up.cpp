#include "replay/resume/take_up.h"

#include <algorithm>

namespace samestep {
namespace {

constexpr std::size_t most_candidates = 1000;

}  // namespace

TakeUp choose_step(const std::vector<std::uint64_t>& candidates, std::uint64_t reach,
                   const std::function<bool(std::uint64_t)>& fits) {
  TakeUp chosen;
  if (candidates.empty()) return chosen;
  const auto reached = std::ranges::find_if(candidates, [&](std::uint64_t step) { return step <= reach; });
  if (reached == candidates.end()) {
    chosen.step = candidates.back();
    return chosen;
  }
  const auto fitting = std::find_if(reached, candidates.end(), fits);
  chosen.step = fitting == candidates.end() ? *reached : *fitting;
  chosen.ambiguous = candidates.end() - reached > 1;
  return chosen;
}

Continuation take_up(const std::filesystem::path& whole, std::uint32_t rank, const protocol::Start& start,
                     std::uint64_t reach, TakeUp& found) {
  auto run = std::make_shared<const RunReader>(whole, rank);
  const auto fits = [&](std::uint64_t step) {
    return step > run->first_step() && start.optimizer_in &&
           run->stated_digest(step - 1, Lane::optimizer) == *start.optimizer_in;
  };
  found = choose_step(steps_that_follow(*run, start.weights_in, most_candidates), reach, fits);
  Continuation continuation = continue_at(std::move(run), found.step, start);
  found.optimizer = continuation.optimizer;
  found.text = continuation.text;
  continuation.overlap.reset();  // the comparison comes later, and once
  return continuation;
}

}  // namespace samestep
