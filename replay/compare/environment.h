// What two runs ran in and on: which items differ, and whether they excuse unequal bits. Reads the fields that the
// recorder writes into a manifest (docs/format.md) and takes a missing one for unknown, never for different.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "replay/compare/verdict.h"
#include "replay/run/manifest.h"

namespace samestep {

struct EnvironmentDifference {
  enum class Kind : std::uint8_t {
    setting,  // processor, instruction set, threads, pins, library versions, GPU, driver: excuses unequal bits
    file,     // same path or name, other bytes (code, configuration, data, library): a suspect, excuses nothing
    told,     // told, but neither: the command, the revision
    loaded,   // code that one side alone had loaded: a suspect where they part, else not worth a word
    set,      // a variable that one side alone had in its environment: so is this
  };
  // A file as one side has it; empty where it has none, and the digest where it is not known whole.
  struct File {
    std::string path, digest;
    friend bool operator==(const File&, const File&) = default;
  };
  Kind kind = Kind::setting;
  std::string item;               // "threads.intra", "/home/a/train.py"
  std::string a, b;               // the values; "(none)" where one side lacks it
  File file_a = {}, file_b = {};  // of Kind::file
  friend bool operator==(const EnvironmentDifference&, const EnvironmentDifference&) = default;
};
// "OMP_NUM_THREADS: 2 against 1"
[[nodiscard]] std::string describe(const EnvironmentDifference& difference);

// What was run when a segment was recorded: the manifest's `what`, or, where the run was continued since, the entry of
// `what.continued` whose session made it. Command, folder, pins, settings and files are all a session's own.
[[nodiscard]] const nlohmann::json& session_of(const Manifest& manifest, const SegmentEntry& segment);

// One step's recording as this comparison sees it: its session and the `environment` of its segment.
struct Surroundings {
  nlohmann::json what = nlohmann::json::object();
  nlohmann::json environment = nlohmann::json::object();
};
[[nodiscard]] Surroundings surroundings(const Manifest& manifest, const SegmentEntry& segment);

[[nodiscard]] std::vector<EnvironmentDifference> environment_differences(const Surroundings& a, const Surroundings& b);
// Settings that one run's program changed while it ran, up to `step`, and the other's did not: told, for it was the
// program that did it, which excuses nothing.
[[nodiscard]] std::vector<EnvironmentDifference> changed_midway(const Manifest& a, const Manifest& b,
                                                                std::uint32_t rank, std::uint64_t step);
// Adds those of `more` that are not there yet.
void add_differences(std::vector<EnvironmentDifference>& found, const std::vector<EnvironmentDifference>& more);

// Joins them to a verdict. `same`: evidence says in spite of what. `diverged`: files become suspects; where a setting
// differs the outcome becomes `incomparable`, class `environment`, unless `ignore_environment`.
void weigh_environment(Verdict& verdict, const std::vector<EnvironmentDifference>& differences,
                       bool ignore_environment);

}  // namespace samestep
