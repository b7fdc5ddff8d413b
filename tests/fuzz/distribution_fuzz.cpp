// What an installed package says of its files: any line states a file and its SHA-256, or nothing.
#include <cstdlib>
#include <sstream>

#include "replay/recorder/distributions.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream lines(std::string(reinterpret_cast<const char*>(data), size));
  for (std::string line; std::getline(lines, line);)
    if (const auto file = samestep::parse_record_line(line); file && file->name.empty()) std::abort();
  return 0;
}
