// What a replay keeps of its own steps: the last few records, for comparison and evidence, and every chain, so that two
// replays can be compared whatever their length.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "replay/run/step_source.h"

namespace samestep {

// A StepSource over the records still kept; chains of all steps since the first stay readable.
class ReplayedSteps : public StepSource {
 public:
  // `chain_before`: of the step before the first, so that the chains go on as the recording's.
  ReplayedSteps(std::uint64_t first, const Digest& chain_before) : first_(first), before_(chain_before) {}

  // REQUIRES record.step == next(). Computes root and chain; drops older records beyond a few unless held.
  const StepRecord& add(StepRecord&& record, std::shared_ptr<const Layout> layout);
  // From here on nothing more is kept: the divergent step and its neighbour stay.
  void hold() { held_ = true; }

  [[nodiscard]] std::uint64_t next() const { return first_ + chains_.size(); }
  [[nodiscard]] const std::vector<Digest>& chains() const { return chains_; }

  [[nodiscard]] std::uint64_t first_step() const override;
  [[nodiscard]] std::uint64_t end_step() const override;
  [[nodiscard]] Digest chain(std::uint64_t step) const override { return chains_.at(step - first_); }
  [[nodiscard]] StepRecord record(std::uint64_t step) const override { return kept(step).record; }
  [[nodiscard]] const Layout& layout(std::uint64_t step) const override { return *kept(step).layout; }

 private:
  struct Kept {
    StepRecord record;
    std::shared_ptr<const Layout> layout;
  };
  static constexpr std::size_t window = 4;
  [[nodiscard]] const Kept& kept(std::uint64_t step) const;

  std::uint64_t first_;
  Digest before_;
  std::vector<Digest> chains_;
  std::deque<Kept> kept_;
  Kept latest_;  // where held: the newest step, which is not kept
  bool held_ = false;
};

}  // namespace samestep
