// Options as JSON and back, exactly: JSON has no infinities, and a learning rate must come back to the last bit.
#pragma once

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "replay/capture/optimizer_state.h"

namespace samestep::capture {

// Finite numbers as numbers (shortest text that reads back as the same double), the others as "inf", "-inf", "nan".
[[nodiscard]] inline nlohmann::json to_json(const Options& options) {
  auto json = nlohmann::json::object();
  for (const auto& [name, value] : options) {
    if (std::isfinite(value)) {
      json[name] = value;
    } else {
      json[name] = std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    }
  }
  return json;
}

// Throws nlohmann::json::exception where it is not an object of numbers.
[[nodiscard]] inline Options options_from(const nlohmann::json& json) {
  Options options;
  for (const auto& [name, value] : json.items()) {
    options[name] = value.is_string() ? std::strtod(value.get<std::string>().c_str(), nullptr) : value.get<double>();
  }
  return options;
}

}  // namespace samestep::capture
