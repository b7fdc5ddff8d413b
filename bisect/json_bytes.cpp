#include "bisect/json_bytes.h"

namespace samestep {
namespace {

using nlohmann::json;

constexpr std::uint64_t largest_byte = 255;

bool is_utf8(const std::string& text) {
  try {
    (void)json(text).dump();
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

std::optional<std::string> joined(const json& bytes) {
  std::string text;
  for (const json& byte : bytes) {
    if (!byte.is_number_unsigned() || byte.get<std::uint64_t>() > largest_byte) return std::nullopt;
    text.push_back(static_cast<char>(byte.get<std::uint64_t>()));
  }
  return text;
}

}  // namespace

json bytes_to_json(const std::string& bytes) {
  if (is_utf8(bytes)) return bytes;
  json list = json::array();
  for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return list;
}

json bytes_to_json(const std::vector<std::string>& words) {
  json list = json::array();
  for (const std::string& word : words) list.push_back(bytes_to_json(word));
  return list;
}

json bytes_to_json(const std::vector<std::filesystem::path>& paths) {
  json list = json::array();
  for (const std::filesystem::path& path : paths) list.push_back(bytes_to_json(path.native()));
  return list;
}

std::optional<std::string> bytes_from_json(const json& value) {
  std::optional<std::string> text;
  if (value.is_string()) text = value.get<std::string>();
  if (value.is_array()) text = joined(value);
  if (text && text->find('\0') != std::string::npos) return std::nullopt;
  return text;
}

}  // namespace samestep
