#include "replay/player/replayed_steps.h"

#include <stdexcept>

namespace samestep {

const StepRecord& ReplayedSteps::add(StepRecord&& record, std::shared_ptr<const Layout> layout) {
  record.root = root_digest(record);
  record.chain = chain_digest(chains_.empty() ? before_ : chains_.back(), record.root);
  chains_.push_back(record.chain);
  latest_ = {std::move(record), std::move(layout)};
  if (held_) return latest_.record;
  kept_.push_back(std::move(latest_));
  if (kept_.size() > window) kept_.pop_front();
  return kept_.back().record;
}

std::uint64_t ReplayedSteps::first_step() const {
  return kept_.empty() ? first_ : kept_.front().record.step;
}

std::uint64_t ReplayedSteps::end_step() const {
  return kept_.empty() ? first_ : kept_.back().record.step + 1;
}

const ReplayedSteps::Kept& ReplayedSteps::kept(std::uint64_t step) const {
  for (const Kept& candidate : kept_) {
    if (candidate.record.step == step) return candidate;
  }
  throw std::out_of_range("a step that the replay no longer holds");
}

}  // namespace samestep
