// JSON from someone else: parsed strictly, and taken apart with errors that name the file and the field.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace samestep {

// Deeper nesting is refused: nothing of ours needs it, and printing a value recurses.
inline constexpr int max_json_depth = 64;

// The value that `text` holds, all of it. Throws BrokenInput that begins with `origin` where it is not JSON, repeats a
// key in one object, or nests deeper than `depth`.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, const std::string& origin, int depth = max_json_depth);

// Fields of `object`. Each throws BrokenInput naming `origin` and the field where it is missing, of another type, or
// out of range.
[[nodiscard]] const nlohmann::json& json_field(const nlohmann::json& object, const char* key,
                                               const std::string& origin);
[[nodiscard]] const nlohmann::json& json_array(const nlohmann::json& object, const char* key,
                                               const std::string& origin);
[[nodiscard]] const nlohmann::json& json_object(const nlohmann::json& object, const char* key,
                                                const std::string& origin);
[[nodiscard]] std::string json_text(const nlohmann::json& object, const char* key, const std::string& origin);
[[nodiscard]] std::uint64_t json_unsigned(const nlohmann::json& object, const char* key, const std::string& origin);
[[nodiscard]] std::uint32_t json_u32(const nlohmann::json& object, const char* key, const std::string& origin);
[[nodiscard]] std::int64_t json_integer(const nlohmann::json& object, const char* key, const std::string& origin);

// The text of a value, with bytes that are not UTF-8 (a file name, an argument) replaced. `indent` as in dump().
[[nodiscard]] std::string json_dump(const nlohmann::json& value, int indent = -1);

}  // namespace samestep
