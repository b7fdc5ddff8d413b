#include "replay/run/format.h"

#include <array>
#include <cinttypes>
#include <cstdio>

namespace samestep::format {

std::string log_file(std::uint32_t rank, std::uint32_t segment) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "log-r%04" PRIu32 "-s%04" PRIu32 ".h5", rank, segment);
  return text.data();
}

std::string anchor_file(std::uint64_t step, std::uint32_t rank, std::uint32_t segment) {
  std::array<char, 80> text{};
  std::snprintf(text.data(), text.size(), "%s/%09" PRIu64 "-r%04" PRIu32, anchor_folder, step, rank);
  std::array<char, 16> of_segment{};
  if (segment != 0) std::snprintf(of_segment.data(), of_segment.size(), "-s%04" PRIu32, segment);
  return std::string(text.data()) + of_segment.data() + ".safetensors";
}

}  // namespace samestep::format
