// Synthetic runs for the tests of the comparison: a small "training" whose every lane is a pure function of (seed,
// step), so that any single thing can be changed at any step and everything after it follows.
#pragma once

#include <functional>
#include <vector>

#include "replay/run/step_source.h"

namespace samestep::testing {

// Two parameters and a buffer, one optimizer, one generator.
[[nodiscard]] Layout small_layout();

// The record of `step`, all lanes captured as the schedule says, lane digests computed, root and chain not.
[[nodiscard]] StepRecord small_step(std::uint64_t step, std::uint64_t seed = 1);

// Computes the lane's digest again after a test has changed its details.
void refresh(StepRecord& record, Lane lane, const Layout& layout);
// Another digest for entry `index` of a named or list lane.
void spoil(StepRecord& record, Lane lane, std::size_t index, const Layout& layout);

// A run in memory that counts what is read.
class MemoryRun : public StepSource {
 public:
  using Edit = std::function<void(StepRecord&, const Layout&)>;

  explicit MemoryRun(std::uint64_t steps, std::uint64_t first = 0, std::uint64_t seed = 1);
  // As above, with every step from `at` on changed by `edit`.
  MemoryRun(std::uint64_t steps, std::uint64_t at, const Edit& edit);
  // Names, chains and roots after a test changed records() or table().
  void seal();

  [[nodiscard]] std::vector<StepRecord>& records() { return records_; }
  [[nodiscard]] Layout& table() { return layout_; }
  [[nodiscard]] std::uint64_t chain_reads() const { return chain_reads_; }
  [[nodiscard]] std::uint64_t record_reads() const { return record_reads_; }

  [[nodiscard]] std::uint64_t first_step() const override { return first_; }
  [[nodiscard]] std::uint64_t end_step() const override { return first_ + records_.size(); }
  [[nodiscard]] Digest chain(std::uint64_t step) const override;
  [[nodiscard]] StepRecord record(std::uint64_t step) const override;
  [[nodiscard]] const Layout& layout(std::uint64_t) const override { return layout_; }

 private:
  std::uint64_t first_ = 0;
  Layout layout_;
  std::vector<StepRecord> records_;
  mutable std::uint64_t chain_reads_ = 0;
  mutable std::uint64_t record_reads_ = 0;
};

}  // namespace samestep::testing
