// The seeds that a Python program gave itself (python/samestep/_seeds.py): written by its processes beside the socket,
// kept with the run, and laid there again for a replay of the same command. A program that seeds with the clock or its
// process id can be replayed that way. What is read here is hostile until checked: lines and entries that are not what
// _seeds.py writes are left out, and no more than `most_seeds` are taken.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace samestep {

// One call of a seeding function with a number.
struct Seed {
  std::string process;     // rank, and number among its processes: "0/0"
  std::string source;      // "random", "numpy", "numpy.default_rng", "torch"
  std::uint64_t call = 0;  // number among the calls of this process and source
  std::string value;       // as Python writes it
  std::string code;        // digest of the program's own code on the stack
  bool replaced = false;   // the program was given the recorded number instead
  std::string arguments;   // digest of the process's arguments; empty of older recordings
};

inline constexpr std::size_t most_seeds = 1000;

// What the processes wrote so far into the folder of a server's socket; empty where none did.
[[nodiscard]] std::vector<Seed> asked_seeds(const std::filesystem::path& socket);
// Lays `seeds` there for the processes of a replay; `by_arguments`: for those that have the recorded arguments alone.
// Throws BrokenInput where the folder cannot be written.
void give_seeds(std::vector<Seed> seeds, const std::filesystem::path& socket, bool by_arguments);

// As a manifest keeps them ("seeds" in Manifest::what), and back.
[[nodiscard]] nlohmann::json to_json(std::span<const Seed> seeds);
[[nodiscard]] std::vector<Seed> seeds_from_manifest(const nlohmann::json& what);

// Sentences on the numbers that a replay's processes asked for and that are not the recorded ones: given instead, or
// kept because the code that seeds was edited. The first few of each, then a count.
[[nodiscard]] std::vector<std::string> other_seeds(std::span<const Seed> recorded, std::span<const Seed> asked);

}  // namespace samestep
