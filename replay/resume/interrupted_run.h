// A run that was killed and the resume that went on from it, as one run: what is compared with the uninterrupted one.
#pragma once

#include "replay/run/step_source.h"

namespace samestep {

class InterruptedRun : public StepSource {
 public:
  // The steps before the resume's first are the killed run's. Both must outlive it. REQUIRES the killed run to have all
  // of these.
  InterruptedRun(const StepSource& killed, const StepSource& resumed) : killed_(killed), resumed_(resumed) {}

  [[nodiscard]] std::uint64_t first_step() const override { return killed_.first_step(); }
  [[nodiscard]] std::uint64_t end_step() const override { return resumed_.end_step(); }
  [[nodiscard]] Digest chain(std::uint64_t step) const override { return of(step).chain(step); }
  [[nodiscard]] StepRecord record(std::uint64_t step) const override { return of(step).record(step); }
  [[nodiscard]] const Layout& layout(std::uint64_t step) const override { return of(step).layout(step); }

 private:
  [[nodiscard]] const StepSource& of(std::uint64_t step) const {
    return step < resumed_.first_step() ? killed_ : resumed_;
  }

  const StepSource& killed_;
  const StepSource& resumed_;
};

}  // namespace samestep
