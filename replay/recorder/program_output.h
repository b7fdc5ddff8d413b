// Runs a small program and gives what it printed: how git is asked about a working tree and a history.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace samestep {

struct SmallProgram {
  std::vector<std::string> argv;         // REQUIRES at least one word; looked up in PATH
  std::vector<std::string> environment;  // "NAME=value", all of it; empty: the caller's
  std::filesystem::path cwd;             // empty: the caller's
  std::chrono::milliseconds patience{5000};
  std::size_t limit = std::size_t{1} << 20;  // bytes of its output that are kept
};

struct ProgramEnd {
  std::string text;    // standard output, at most `limit` bytes
  bool cut = false;    // there was more
  std::string errors;  // standard error, its first 4 KiB
  int code = -1;       // exit code; -1: it was killed, by `patience` too
};

// nullopt where it cannot be started. Its standard input is empty.
[[nodiscard]] std::optional<ProgramEnd> run_small(const SmallProgram& program);

struct ProgramOutput {
  std::string text;  // standard output, at most `limit` bytes
  bool cut = false;  // there was more
};

// The same for who asks for no more: nullopt where it cannot be started, fails, or is not done within `patience`.
[[nodiscard]] std::optional<ProgramOutput> output_of(std::span<const std::string> argv,
                                                     const std::filesystem::path& cwd,
                                                     std::chrono::milliseconds patience, std::size_t limit);

}  // namespace samestep
