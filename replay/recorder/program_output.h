// Runs a small program and gives what it printed: how the recorder asks git about the working tree.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace samestep {

struct ProgramOutput {
  std::string text;  // standard output, at most `limit` bytes
  bool cut = false;  // there was more
};

// nullopt where it cannot be started, fails, or is not done within `patience` (it is killed then). Its standard input
// is empty and its standard error dropped.
[[nodiscard]] std::optional<ProgramOutput> output_of(std::span<const std::string> argv,
                                                     const std::filesystem::path& cwd,
                                                     std::chrono::milliseconds patience, std::size_t limit);

}  // namespace samestep
