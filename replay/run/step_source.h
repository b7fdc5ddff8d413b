// What the comparison asks of a run: a seam, so that search and verdicts are tested without files.
#pragma once

#include <cstdint>

#include "replay/run/record.h"

namespace samestep {

class StepSource {
 public:
  virtual ~StepSource() = default;
  // Steps [first_step(), end_step()) exist; both may be equal. A growing run's end may move at refresh().
  [[nodiscard]] virtual std::uint64_t first_step() const = 0;
  [[nodiscard]] virtual std::uint64_t end_step() const = 0;
  // Cheap: one row of 32 bytes.
  [[nodiscard]] virtual Digest chain(std::uint64_t step) const = 0;
  // The whole record; checked: its contents give its root, else TamperedInput.
  [[nodiscard]] virtual StepRecord record(std::uint64_t step) const = 0;
  [[nodiscard]] virtual const Layout& layout(std::uint64_t step) const = 0;
};

}  // namespace samestep
