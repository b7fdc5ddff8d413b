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
  };
  Kind kind = Kind::setting;
  std::string item;  // "threads.intra", "/home/a/train.py"
  std::string a, b;  // the values; "(none)" where one side lacks it
};
// "OMP_NUM_THREADS: 2 against 1"
[[nodiscard]] std::string describe(const EnvironmentDifference& difference);

// One run as this comparison sees it: the manifest's `what` and the `environment` of the rank's last segment.
struct Surroundings {
  nlohmann::json what = nlohmann::json::object();
  nlohmann::json environment = nlohmann::json::object();
};
[[nodiscard]] Surroundings surroundings(const Manifest& manifest, std::uint32_t rank = 0);

[[nodiscard]] std::vector<EnvironmentDifference> environment_differences(const Surroundings& a, const Surroundings& b);

// Joins them to a verdict. `same`: evidence says in spite of what. `diverged`: files become suspects; where a setting
// differs the outcome becomes `incomparable`, class `environment`, unless `ignore_environment`.
void weigh_environment(Verdict& verdict, const std::vector<EnvironmentDifference>& differences,
                       bool ignore_environment);

}  // namespace samestep
