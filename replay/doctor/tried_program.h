// A program tried out: its first steps recorded twice, the recordings compared, and where they part replayed once,
// which tells what it leaves unseeded from what does not repeat at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "replay/compare/verdict.h"
#include "replay/run/run_reader.h"

namespace samestep {

struct TryOptions {
  std::vector<std::string> argv;
  std::filesystem::path cwd;     // absolute
  std::filesystem::path folder;  // for the recordings and what the program prints; must not exist or be empty
  std::uint64_t steps = 8;       // the program is stopped after so many, as a replay stops it
  std::function<void(const std::string&)> say = [](const std::string&) {};  // lines for standard error
};

struct TriedProgram {
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
[[nodiscard]] TriedProgram try_twice(const TryOptions& options);

// The generators whose states differ where `step` began; empty where one of the runs does not hold it.
[[nodiscard]] std::vector<std::string> differing_generators(const RunReader& a, const RunReader& b, std::uint64_t step);
// What two recordings of Python programs were not seeded with, or with other numbers, where that can be why they part:
// sentences. Empty for other programs, whose seeding nobody sees.
[[nodiscard]] std::vector<std::string> unseeded_sources(const RunReader& a, const RunReader& b, const Verdict& verdict);

// The numbers that two recordings' programs were seeded with, held against each other.
struct SeedsOfBoth {
  struct Pair {
    std::string source;         // as Seed::source
    std::string first, second;  // the numbers
  };
  std::vector<Pair> other;      // of each source the first call that was given another number
  std::set<std::string> equal;  // sources that both gave equal numbers
};
// `a`, `b`: Manifest::what of both.
[[nodiscard]] SeedsOfBoth seeds_of_both(const nlohmann::json& a, const nlohmann::json& b);

// What to do about two recordings that part as `verdict` says. `generators`: names of those that differ at that step.
// `replays`: a replay of one of them repeats it.
[[nodiscard]] std::vector<std::string> advice_for(const Verdict& verdict, const std::vector<std::string>& generators,
                                                  bool replays, const SeedsOfBoth& seeds = {});

}  // namespace samestep
