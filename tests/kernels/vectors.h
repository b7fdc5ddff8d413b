// The shared BLAKE3 vectors and the message that they belong to.
#pragma once

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace samestep {

struct Vector {
  std::size_t length;
  std::string digest;
};

inline std::vector<Vector> vectors() {
  std::ifstream file(SAMESTEP_KERNELS_TEST_DATA "/blake3_vectors.txt");
  std::vector<Vector> result;
  for (std::string line; std::getline(file, line);) {
    Vector vector;
    if (line.starts_with('#')) continue;
    std::istringstream(line) >> vector.length >> vector.digest;
    result.push_back(vector);
  }
  return result;
}

// Byte i is i mod 251.
inline const std::vector<std::uint8_t>& message() {
  static const std::vector<std::uint8_t> bytes = [] {
    std::vector<std::uint8_t> result(std::size_t{2} << 20);
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<std::uint8_t>(i % 251);
    return result;
  }();
  return bytes;
}

}  // namespace samestep
