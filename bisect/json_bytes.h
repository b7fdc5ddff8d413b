// Words of a command and paths are bytes; a text of JSON is UTF-8. What is kept in JSON and read back, or asked by,
// holds such words without loss: equal JSON means equal bytes.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace samestep {

// The text where it is UTF-8, else the list of its bytes.
[[nodiscard]] nlohmann::json bytes_to_json(const std::string& bytes);
[[nodiscard]] nlohmann::json bytes_to_json(const std::vector<std::string>& words);
[[nodiscard]] nlohmann::json bytes_to_json(const std::vector<std::filesystem::path>& paths);

// What bytes_to_json() of a text gave; nullopt for anything else, and for bytes with a NUL, which no word holds.
[[nodiscard]] std::optional<std::string> bytes_from_json(const nlohmann::json& value);

}  // namespace samestep
