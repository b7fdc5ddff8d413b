// A program tried out: its first steps recorded twice, the recordings compared, and where they part replayed once,
// which tells what it leaves unseeded from what does not repeat at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "replay/compare/verdict.h"

namespace samestep {

struct TrialOptions {
  std::vector<std::string> argv;
  std::filesystem::path cwd;     // absolute
  std::filesystem::path folder;  // for the recordings and what the program prints; must not exist or be empty
  std::uint64_t steps = 8;       // the program is stopped after so many, as a replay stops it
  std::function<void(const std::string&)> say = [](const std::string&) {};  // lines for standard error
};

struct Trial {
  // Of the two recordings: `same`, `diverged`, `flaky` where not even a replay repeats, `incomparable` where a
  // recording holds no step.
  Verdict verdict;
  std::optional<Outcome> replay;    // of the first recording, where the two differ
  std::vector<std::string> advice;  // what to seed or change, most telling first
  std::vector<std::filesystem::path> recordings;
  bool untestable = false;  // the program does not start
};

// Runs the program twice, in `cwd`: what it writes, it writes. Throws BrokenInput where the folder cannot be written.
// REQUIRES the main thread (see launch()).
[[nodiscard]] Trial try_twice(const TrialOptions& options);

// What to do about two recordings that part as `verdict` says. `generators`: names of those that differ at that step.
// `replays`: a replay of one of them repeats it.
[[nodiscard]] std::vector<std::string> advice_for(const Verdict& verdict, const std::vector<std::string>& generators,
                                                  bool replays);

}  // namespace samestep
