#include "replay/run/strict_json.h"

#include <limits>
#include <set>
#include <vector>

#include "replay/run/error.h"

namespace samestep {
namespace {

using nlohmann::json;

// Watches the parser's events for what JSON's grammar allows and we do not.
class Watch {
 public:
  Watch(const std::string& origin, int limit) : origin_(origin), limit_(limit) {}

  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (depth > limit_) throw BrokenInput(origin_ + ": JSON nested more than " + std::to_string(limit_) + " deep");
    if (event == json::parse_event_t::object_start) keys_.emplace_back();
    if (event == json::parse_event_t::object_end) keys_.pop_back();
    if (event == json::parse_event_t::key) remember(parsed.get<std::string>());
    return true;
  }

 private:
  void remember(std::string key) {
    if (!keys_.back().insert(key).second) throw BrokenInput(origin_ + ": the key \"" + key + "\" appears twice");
  }
  const std::string& origin_;
  int limit_;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open, outermost first
};

[[noreturn]] void wrong_type(const char* key, const char* expected, const json& found, const std::string& origin) {
  throw BrokenInput(origin + ": \"" + key + "\" should be " + expected + ", found " + found.type_name());
}

}  // namespace

json parse_json(std::string_view text, const std::string& origin, int depth) {
  try {
    return json::parse(text.begin(), text.end(), Watch(origin, depth));
  } catch (const json::exception& error) {
    throw BrokenInput(origin + ": not valid JSON: " + error.what());
  }
}

const json& json_field(const json& object, const char* key, const std::string& origin) {
  if (!object.is_object()) throw BrokenInput(origin + ": expected a JSON object, found " + object.type_name());
  const auto found = object.find(key);
  if (found == object.end()) throw BrokenInput(origin + ": \"" + key + "\" is missing");
  return *found;
}

const json& json_array(const json& object, const char* key, const std::string& origin) {
  const json& value = json_field(object, key, origin);
  if (!value.is_array()) wrong_type(key, "an array", value, origin);
  return value;
}

const json& json_object(const json& object, const char* key, const std::string& origin) {
  const json& value = json_field(object, key, origin);
  if (!value.is_object()) wrong_type(key, "an object", value, origin);
  return value;
}

std::string json_text(const json& object, const char* key, const std::string& origin) {
  const json& value = json_field(object, key, origin);
  if (!value.is_string()) wrong_type(key, "a string", value, origin);
  return value.get<std::string>();
}

std::uint64_t json_unsigned(const json& object, const char* key, const std::string& origin) {
  const json& value = json_field(object, key, origin);
  if (!value.is_number_unsigned()) wrong_type(key, "a whole number from 0", value, origin);
  return value.get<std::uint64_t>();
}

std::uint32_t json_u32(const json& object, const char* key, const std::string& origin) {
  const std::uint64_t value = json_unsigned(object, key, origin);
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    throw BrokenInput(origin + ": \"" + key + "\" is out of range: " + std::to_string(value));
  }
  return static_cast<std::uint32_t>(value);
}

std::int64_t json_integer(const json& object, const char* key, const std::string& origin) {
  const json& value = json_field(object, key, origin);
  if (!value.is_number_integer()) wrong_type(key, "a whole number", value, origin);
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
    throw BrokenInput(origin + ": \"" + key + "\" is out of range");
  }
  return value.get<std::int64_t>();
}

std::string json_dump(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

}  // namespace samestep
