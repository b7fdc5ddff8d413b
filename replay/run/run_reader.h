// Reads a run directory, finished or still growing. Joins the segments of a rank into one sequence of steps. Everything
// on disk is hostile until checked: sizes are bounded, ranges checked, digests recomputed.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "replay/run/manifest.h"
#include "replay/run/step_source.h"

namespace samestep {

class RunReader : public StepSource {
 public:
  // Opens `run` for one rank. Throws BrokenInput (no such run, no manifest, version, damaged) or TamperedInput.
  explicit RunReader(const std::filesystem::path& run, std::uint32_t rank = 0);
  ~RunReader() override;
  RunReader(RunReader&&) noexcept;

  [[nodiscard]] const std::filesystem::path& path() const;
  [[nodiscard]] const Manifest& manifest() const;
  [[nodiscard]] std::uint64_t first_step() const override;
  [[nodiscard]] std::uint64_t end_step() const override;
  [[nodiscard]] Digest chain(std::uint64_t step) const override;
  [[nodiscard]] StepRecord record(std::uint64_t step) const override;
  [[nodiscard]] const Layout& layout(std::uint64_t step) const override;
  // Scalars of the steps [begin, end), cheaply, for curves: step, loss (sum of the items), timing.
  struct Point {
    std::uint64_t step = 0;
    double loss = 0;
    bool has_loss = false;
    StepTiming timing;
  };
  [[nodiscard]] std::vector<Point> points(std::uint64_t begin, std::uint64_t end) const;
  // Takes up what a living writer has added since.
  void refresh();

  // The nearest anchor at or before `step`; nullptr where there is none.
  [[nodiscard]] const AnchorEntry* anchor_before(std::uint64_t step) const;

  // Reads everything: files against the manifest's digests where a segment has ended, every record's contents against
  // its root, chain and log chain where it has not, anchors against their digests. `same` may only be said after it.
  // Throws TamperedInput naming file, step, lane and what was expected.
  void check_integrity() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samestep
