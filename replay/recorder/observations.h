// What a single run's steps show by themselves: state that changed between two steps, steps out of pace, batches that
// came more than once in a row.
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

// Tells batches that are the one before them, in a run where others are not: loader workers that each hold a copy of
// one generator give the same data, one after the other. Where all are alike (a step is the whole data set) nothing is
// told.
class Repeats {
 public:
  struct Pair {
    std::uint64_t before = 0, step = 0;  // of one optimizer, one after the other
  };
  // The first two pairs, once, as soon as it is known that others differ.
  [[nodiscard]] std::optional<std::array<Pair, 2>> observe(const StepRecord& record);

 private:
  struct Seen {
    std::uint64_t step = 0;
    Digest batch;
  };
  std::map<std::uint32_t, Seen> last_;  // by optimizer: several may be given one batch, one after the other
  std::vector<Pair> pairs_;
  bool others_differ_ = false, told_ = false;
};

}  // namespace samestep
