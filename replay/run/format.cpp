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

std::string anchor_file(std::uint64_t step, std::uint32_t rank) {
  std::array<char, 80> text{};
  std::snprintf(text.data(), text.size(), "%s/%09" PRIu64 "-r%04" PRIu32 ".safetensors", anchor_folder, step, rank);
  return text.data();
}

}  // namespace samestep::format
