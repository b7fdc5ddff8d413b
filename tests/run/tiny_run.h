// A run directory with everything that the format has, made from tensors of a few bytes by a "training" of exact
// arithmetic: two optimizers that take turns, a buffer, an undefined gradient, list columns, thinned detail, a resume
// that goes back a few steps, an anchor. The golden runs are made of it, and tests damage copies of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "replay/run/manifest.h"
#include "replay/run/record.h"

namespace samestep {

struct TinyTensor {
  DType dtype = DType::f32;
  Shape shape;
  std::vector<std::byte> bytes;
};

// The state of the training program after some updates. A function of seed and number of updates alone.
class TinyTraining {
 public:
  explicit TinyTraining(std::uint64_t seed = 7);
  [[nodiscard]] const Layout& layout() const { return layout_; }
  // Makes the next update and returns its record, lane digests computed; `anchor` reads the optimizer's state and the
  // named state as well.
  StepRecord step(bool anchor = false);
  [[nodiscard]] std::uint64_t updates() const { return updates_; }
  // From here on it draws other batches: the state is kept, what follows differs.
  void reseed(std::uint64_t seed) { seed_ = seed; }
  // The state now, as the bytes of an anchor file.
  [[nodiscard]] std::string anchor() const;

 private:
  void update(std::uint32_t optimizer);
  void fill_forward(StepRecord& record, std::uint64_t salt) const;
  void fill_gradients(StepRecord& record, std::uint64_t salt);
  void fill(LaneRecord& record, Lane lane, std::uint32_t optimizer) const;
  [[nodiscard]] std::vector<TinyTensor> tensors_of(Lane lane, std::size_t column) const;

  std::uint64_t seed_;
  std::uint64_t updates_ = 0;
  Layout layout_;
  std::map<std::string, std::vector<TinyTensor>> tensors_;  // "<lane>/<column>"
};

struct TinyRun {
  std::uint64_t seed = 7;
  std::uint64_t first_end = 38;    // steps of segment 0: [0, first_end)
  std::uint64_t resumed_at = 30;   // segment 1 goes back to this step; first_end or more: there is no second segment
  std::uint64_t end = 44;          // ... and ends here
  std::uint64_t resumed_seed = 7;  // another one: the resume was not exact, the overlapping steps differ
  std::uint64_t anchor_at = 25;    // 0: none
  std::uint64_t anchor_in_both_at = 0;  // after so many updates every segment that makes the last of them cuts one
  bool ended = true;                    // false: the recorder was killed: logs not closed, no digests in the manifest
  std::string run_id = std::string(31, '0') + "7";
};

// Writes the run into `folder`, which must not exist.
void write_tiny_run(const std::filesystem::path& folder, const TinyRun& run = {});

}  // namespace samestep
