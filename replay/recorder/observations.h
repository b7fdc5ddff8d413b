// What a single run's steps show by themselves: state that changed between two steps, steps out of pace.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replay/run/manifest.h"
#include "replay/run/record.h"

namespace samestep {

// Compares each step's weights_in with what the same tensors were at their last O, inside one process.
class Continuity {
 public:
  // A new table of tensors; what is known of tensors of the same name is kept.
  void begin(const Layout& layout);
  // Other tensors have the names from here on: nothing is known of them.
  void forget();
  // The names of the tensors that changed since they were last read, in layout order.
  [[nodiscard]] std::vector<std::string> observe(const StepRecord& record);

 private:
  void remember(const LaneRecord& out);

  std::vector<std::string> names_in_, names_out_;
  std::vector<std::size_t> out_of_in_;       // column of weights_out with the name of this one of weights_in; or npos
  std::vector<std::optional<Digest>> last_;  // by column of weights_out
};

// Tells steps that took ten times as long as the ones before them.
class Pace {
 public:
  struct Finding {
    bool between_steps = false;  // most of the time passed before the step's first forward pass
    double seconds = 0;
    double usual_seconds = 0;
  };
  // `received_ns`: UTC, when the record arrived: the step's O, but for the way here.
  [[nodiscard]] std::optional<Finding> observe(const StepTiming& timing, std::int64_t received_ns);

 private:
  static constexpr std::size_t window = 16;
  std::deque<double> seconds_;
  std::int64_t last_received_ns_ = 0;
};

}  // namespace samestep
