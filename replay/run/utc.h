// The clock that a run is dated by.
#pragma once

#include <chrono>
#include <cstdint>

namespace samestep {

// UTC, nanoseconds since 1970.
[[nodiscard]] inline std::int64_t utc_now_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace samestep
