// What a situation means for reproducing a training, and what to type about it. Pure: the tests make every finding
// fire.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "replay/doctor/situation.h"

namespace samestep {

struct Finding {
  enum class Level : std::uint8_t {
    note,     // worth knowing: recordings stay reproducible here
    problem,  // recordings made here cannot be reproduced, or not be made
  };
  Level level = Level::note;
  std::string check;  // a word for programs: "hash_seed"
  std::string text;   // what is so, and what it does
  std::string fix;    // what to type or do
};

// Problems first, else in the order of docs/doctor.md.
[[nodiscard]] std::vector<Finding> findings(const Situation& situation);
[[nodiscard]] bool has_problem(const std::vector<Finding>& findings);
[[nodiscard]] nlohmann::json to_json(const Finding& finding);
std::ostream& operator<<(std::ostream& out, const Finding& finding);

}  // namespace samestep
