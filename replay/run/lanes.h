// replay/run/ is the run directory: its data model (this header, record.h), manifest, writer and reader. It may include
// kernels/ and HDF5 and nothing else of replay/. Steps come in as StepRecord values from the recorder and go out as
// StepRecord values to the comparison; docs/format.md says how they lie on disk.
//
// This header: the lanes of a step's record, in causal order, and what is captured when. The one place for their names.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace samestep {

// One causally ordered part of a step's record. Moments: F, the first training-mode forward of the step; P, just
// before the optimizer's update; O, just after it. Numeric values are part of the run format.
enum class Lane : std::uint8_t {
  weights_in = 0,   // F: parameters, then buffers
  rng = 1,          // F: every generator's state
  batch = 2,        // F to P: tensors given to the training forward passes, targets included; a list
  hyper = 3,        // P: options of the parameter groups, loss scale, clipping; values with names
  loss = 4,         // the values that backward passes started from; a list
  gradients = 5,    // P: those the optimizer is given
  optimizer = 6,    // O: its state after the update
  weights_out = 7,  // O: parameters, then buffers
  state = 8,        // whatever else must be restored
};
inline constexpr std::size_t lane_count = 9;
inline constexpr std::array<Lane, lane_count> all_lanes{Lane::weights_in, Lane::rng,         Lane::batch,
                                                        Lane::hyper,      Lane::loss,        Lane::gradients,
                                                        Lane::optimizer,  Lane::weights_out, Lane::state};

[[nodiscard]] std::string_view name(Lane lane);
[[nodiscard]] std::optional<Lane> lane_from_name(std::string_view name);

// A list lane holds any number of tensors a step, in order and without names; the others hold one entry a column.
[[nodiscard]] constexpr bool is_list(Lane lane) {
  return lane == Lane::batch || lane == Lane::loss;
}

// What enters a step's root depends on the step number alone.
inline constexpr std::uint64_t optimizer_period = 16;
[[nodiscard]] constexpr bool in_root(Lane lane, std::uint64_t step) {
  if (lane == Lane::state) return false;
  return lane != Lane::optimizer || step % optimizer_period == 0;
}

// Statistics, sketches and syndromes come on a fixed schedule, denser at the start (and besides at every anchor).
inline constexpr std::uint64_t dense_summaries = 32;
inline constexpr std::uint64_t summary_period = 16;
[[nodiscard]] constexpr bool summaries_due(std::uint64_t step) {
  return step < dense_summaries || step % summary_period == 0;
}

enum class LaneStatus : std::uint8_t {
  absent = 0,    // not captured; the record says why
  captured = 1,  // read from the program
  given = 2,     // a replay took it from the log: not evidence
};

// Why a lane is absent.
enum class AbsentReason : std::uint8_t {
  none = 0,
  off_schedule = 1,       // the optimizer's state is read every 16th step, named state at anchors
  batch_not_given = 2,    // the program never called step.batch()
  loss_not_given = 3,     // the program never called step.loss()
  unknown_optimizer = 4,  // an optimizer class whose state cannot be read
  nothing_there = 5,      // e.g. no named state
};
[[nodiscard]] std::string_view describe(AbsentReason reason);

}  // namespace samestep
