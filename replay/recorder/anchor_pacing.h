// When a rank can pay for its next anchor. Times come in as arguments, so that the rule is tested without a clock.
#pragma once

#include <cstdint>

namespace samestep {

// All times in seconds.
class AnchorPacing {
 public:
  // Anchors may cost `share` of the time since the rank's recording began.
  explicit AnchorPacing(double share = 0.01) : share_(share) {}

  // An anchor will have about `bytes`: what the first one is taken to cost, until one has been written.
  void expect(std::uint64_t bytes) {
    if (next_ == 0) next_ = static_cast<double>(bytes) / assumed_bytes_a_second + assumed_seconds_a_sync;
  }
  // One has been written, which took `seconds`: the next one is taken to cost the same.
  void wrote(double seconds) {
    spent_ += seconds;
    next_ = seconds;
  }
  // `elapsed` seconds after the beginning another one stays within the share.
  [[nodiscard]] bool can_pay(double elapsed) const { return spent_ + next_ <= share_ * elapsed; }

 private:
  // A slow disk and a sync.
  static constexpr double assumed_bytes_a_second = 200e6;
  static constexpr double assumed_seconds_a_sync = 0.02;

  double share_;
  double spent_ = 0;  // in writing so far
  double next_ = 0;   // that the next one will take, as far as known
};

}  // namespace samestep
