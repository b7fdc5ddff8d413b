#include "replay/recorder/protocol.h"

#include <fmt/format.h>

#include <bit>
#include <limits>

#include "replay/run/error.h"
#include "replay/run/strict_json.h"

namespace samestep::protocol {

namespace {

using Json = nlohmann::json;

// Paths and program names are bytes, not always UTF-8: what is not is shown replaced, never thrown about.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

[[noreturn]] void reject(const char* message, const std::string& why) {
  throw BrokenInput(fmt::format("Reading the message {}: {}. Are both ends of one samestep version?", message, why));
}

// A message becomes part of the manifest, which nests no deeper than max_json_depth.
constexpr int max_message_depth = max_json_depth / 2;

Json parsed(const char* message, std::string_view text) {
  try {
    return parse_json(text, "its text", max_message_depth);
  } catch (const BrokenInput& error) {
    reject(message, error.what());
  }
}

constexpr std::size_t max_hyper_values = 4096;

// A message's JSON object, its fields asked for by name and type.
class Fields {
 public:
  Fields(const char* message, std::string_view text) : message_(message) {
    json_ = parsed(message, text);
    if (!json_.is_object()) reject(message_, "it is not a JSON object");
  }

  [[nodiscard]] std::uint64_t number(const char* field, std::uint64_t limit = ~std::uint64_t{0}) const {
    const Json& value = at(field);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > limit)
      reject(message_, fmt::format("its field '{}' is not a number from 0 to {}", field, limit));
    return value.get<std::uint64_t>();
  }
  [[nodiscard]] bool flag(const char* field) const {
    if (!at(field).is_boolean()) reject(message_, fmt::format("its field '{}' is not true or false", field));
    return at(field).get<bool>();
  }
  [[nodiscard]] std::string string(const char* field) const { return string_of(field, at(field)); }
  [[nodiscard]] std::vector<std::string> strings(const char* field) const {
    if (!at(field).is_array()) reject(message_, fmt::format("its field '{}' is not a list", field));
    std::vector<std::string> list;
    for (const Json& item : at(field)) list.push_back(string_of(field, item));
    return list;
  }
  [[nodiscard]] std::vector<std::uint64_t> numbers(const char* field, std::size_t most) const {
    const Json& value = at(field);
    if (!value.is_array() || value.size() > most)
      reject(message_, fmt::format("its field '{}' is not a list of at most {} numbers", field, most));
    std::vector<std::uint64_t> list;
    for (const Json& item : value) {
      if (!item.is_number_unsigned()) reject(message_, fmt::format("its field '{}' holds what is no number", field));
      list.push_back(item.get<std::uint64_t>());
    }
    return list;
  }
  // Bits of doubles: text would lose what is not finite.
  [[nodiscard]] HyperValues hyper_values(const char* field) const {
    const Json& value = at(field);
    if (!value.is_object() || value.size() > max_hyper_values)
      reject(message_, fmt::format("its field '{}' is not an object of at most {} numbers", field, max_hyper_values));
    HyperValues values;
    for (const auto& [name, bits] : value.items()) {
      if (!bits.is_number_unsigned()) reject(message_, fmt::format("its field '{}' holds what is no number", field));
      values[name] = std::bit_cast<double>(bits.get<std::uint64_t>());
    }
    return values;
  }
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> pairs(const char* field) const {
    if (!at(field).is_array()) reject(message_, fmt::format("its field '{}' is not a list", field));
    std::vector<std::pair<std::string, std::string>> list;
    for (const Json& item : at(field)) {
      if (!item.is_array() || item.size() != 2) reject(message_, fmt::format("its field '{}' has no pairs", field));
      list.emplace_back(string_of(field, item[0]), string_of(field, item[1]));
    }
    return list;
  }
  [[nodiscard]] const Json& object(const char* field) const {
    if (!at(field).is_object()) reject(message_, fmt::format("its field '{}' is not an object", field));
    return at(field);
  }
  [[nodiscard]] bool has(const char* field) const { return json_.contains(field) && !json_[field].is_null(); }
  // The position of the field's string among `names`.
  [[nodiscard]] std::size_t choice(const char* field, std::span<const char* const> names) const {
    const std::string value = string(field);
    for (std::size_t i = 0; i < names.size(); ++i)
      if (value == names[i]) return i;
    reject(message_, fmt::format("its field '{}' is '{}', which this version does not know", field, value));
  }

 private:
  [[nodiscard]] const Json& at(const char* field) const {
    const auto found = json_.find(field);
    if (found == json_.end()) reject(message_, fmt::format("its field '{}' is missing", field));
    return *found;
  }
  [[nodiscard]] std::string string_of(const char* field, const Json& value) const {
    if (!value.is_string()) reject(message_, fmt::format("its field '{}' is not text", field));
    return value.get<std::string>();
  }

  const char* message_;
  Json json_;
};

Json bits_of(const HyperValues& values) {
  Json json = Json::object();
  for (const auto& [name, value] : values) json[name] = std::bit_cast<std::uint64_t>(value);
  return json;
}

constexpr std::uint64_t max_u32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t max_pid = std::numeric_limits<std::int32_t>::max();
constexpr const char* mode_names[] = {"off", "record", "replay"};
constexpr const char* restart_names[] = {"jump", "fast_forward", "start", "either"};
constexpr const char* answer_names[] = {"go_on", "dump", "stop", "off"};

}  // namespace

std::string_view name(Restart restart) {
  return restart_names[static_cast<std::size_t>(restart)];
}

std::string encode(const Hello& message) {
  return text_of({{"format_version", message.format_version},
                  {"pid", message.pid},
                  {"rank", message.rank},
                  {"world_size", message.world_size},
                  {"program", message.program},
                  {"restart", name(message.restart)},
                  {"environment", message.environment},
                  {"files", message.files}});
}

Hello decode_hello(std::string_view json) {
  const Fields fields("hello", json);
  Hello message;
  message.format_version = static_cast<std::uint32_t>(fields.number("format_version", max_u32));
  message.pid = static_cast<std::int64_t>(fields.number("pid", max_pid));
  message.rank = static_cast<std::uint32_t>(fields.number("rank", max_u32));
  message.world_size = static_cast<std::uint32_t>(fields.number("world_size", max_u32));
  message.program = fields.string("program");
  message.restart = static_cast<Restart>(fields.choice("restart", restart_names));
  message.environment = fields.object("environment");
  message.files = fields.strings("files");
  return message;
}

std::string encode(const Welcome& message) {
  Json json{{"mode", mode_names[static_cast<std::size_t>(message.mode)]},
            {"refusal", message.refusal},
            {"rank", message.rank},
            {"ask_start", message.ask_start},
            {"first_step", message.first_step},
            {"from", message.from},
            {"to", message.to},
            {"has_anchor", message.has_anchor},
            {"session_first_step", message.session_first_step},
            {"host_reads", message.host_reads},
            {"jump", message.jump},
            {"pin_rng", message.pin_rng},
            {"read_steps", message.read_steps},
            {"anchor_every", message.anchor_every},
            {"lockstep", message.lockstep}};
  if (message.dump_step) json["dump_step"] = *message.dump_step;
  if (message.hyper) json["hyper"] = bits_of(*message.hyper);
  return text_of(json);
}

Welcome decode_welcome(std::string_view json) {
  const Fields fields("welcome", json);
  Welcome message;
  message.mode = static_cast<Mode>(fields.choice("mode", mode_names));
  message.refusal = fields.string("refusal");
  message.rank = static_cast<std::uint32_t>(fields.number("rank"));
  message.ask_start = fields.flag("ask_start");
  message.first_step = fields.number("first_step");
  message.from = fields.number("from");
  message.to = fields.number("to");
  message.has_anchor = fields.flag("has_anchor");
  message.session_first_step = fields.number("session_first_step");
  message.host_reads = fields.numbers("host_reads", max_host_reads);
  message.jump = fields.flag("jump");
  message.pin_rng = fields.flag("pin_rng");
  message.read_steps = fields.numbers("read_steps", max_read_steps);
  if (fields.has("hyper")) message.hyper = fields.hyper_values("hyper");
  message.anchor_every = fields.number("anchor_every");
  message.lockstep = fields.flag("lockstep");
  if (fields.has("dump_step")) message.dump_step = fields.number("dump_step");
  return message;
}

std::string encode(const Start& message) {
  nlohmann::json fields{{"weights_in", message.weights_in.hex()}};
  if (message.optimizer_in) fields["optimizer_in"] = message.optimizer_in->hex();
  return text_of(fields);
}

Start decode_start(std::string_view json) {
  const Fields fields("start", json);
  const auto digest_in = [&](const char* name) {
    const auto digest = Digest::from_hex(fields.string(name));
    if (!digest) reject("start", fmt::format("its field '{}' is not 64 hexadecimal digits", name));
    return *digest;
  };
  Start message{digest_in("weights_in"), std::nullopt};
  if (fields.has("optimizer_in")) message.optimizer_in = digest_in("optimizer_in");
  return message;
}

std::string encode(const Ack& message) {
  Json json{{"step", message.step},
            {"answer", answer_names[static_cast<std::size_t>(message.answer)]},
            {"cut_anchor", message.cut_anchor},
            {"host_reads", message.host_reads}};
  if (message.hyper) json["hyper"] = bits_of(*message.hyper);
  return text_of(json);
}

Ack decode_ack(std::string_view json) {
  const Fields fields("ack", json);
  Ack ack{fields.number("step"), static_cast<Ack::Answer>(fields.choice("answer", answer_names)),
          fields.flag("cut_anchor"), fields.numbers("host_reads", max_host_reads)};
  if (fields.has("hyper")) ack.hyper = fields.hyper_values("hyper");
  return ack;
}

std::string encode(const StepNumber& message) {
  return text_of({{"step", message.step}});
}

StepNumber decode_step_number(std::string_view json) {
  return {Fields("step number", json).number("step")};
}

std::string encode(const Begin& message) {
  return text_of({{"first_step", message.first_step}});
}

Begin decode_begin(std::string_view json) {
  return {Fields("begin", json).number("first_step")};
}

std::string encode(const Bye& message) {
  return text_of({{"how", message.how}, {"steps", message.steps}});
}

Bye decode_bye(std::string_view json) {
  const Fields fields("bye", json);
  return {fields.string("how"), fields.number("steps")};
}

std::string encode(const Notice& message) {
  Json json{{"kind", message.kind}, {"tensor", message.tensor}, {"text", message.text}};
  if (message.step) json["step"] = *message.step;
  return text_of(json);
}

Notice decode_notice(std::string_view json) {
  const Fields fields("event", json);
  Notice message;
  message.kind = fields.string("kind");
  if (fields.has("step")) message.step = fields.number("step");
  message.tensor = fields.string("tensor");
  message.text = fields.string("text");
  return message;
}

std::string encode(const Code& message) {
  auto modules = Json::array();
  for (const auto& [name, path] : message.modules) modules.push_back({name, path});
  return text_of({{"moment", message.moment},
                  {"script", message.script},
                  {"modules", std::move(modules)},
                  {"libraries", message.libraries},
                  {"search_path", message.search_path}});
}

namespace {

void check_paths(const char* what, const std::vector<std::string>& paths, std::size_t most) {
  if (paths.size() > most)
    reject("code", fmt::format("it names {} {}, at most {} are taken", paths.size(), what, most));
  for (const std::string& path : paths)
    if (path.size() > Code::max_path) reject("code", fmt::format("one of its {} is {} bytes long", what, path.size()));
}

}  // namespace

Code decode_code(std::string_view json) {
  const Fields fields("code", json);
  Code message;
  message.moment = fields.string("moment");
  message.script = fields.string("script");
  message.libraries = fields.strings("libraries");
  message.search_path = fields.strings("search_path");
  message.modules = fields.pairs("modules");
  check_paths("libraries", message.libraries, Code::max_files);
  check_paths("folders", message.search_path, Code::max_folders);
  std::vector<std::string> words{message.moment, message.script};
  for (const auto& [name, path] : message.modules) words.insert(words.end(), {name, path});
  check_paths("modules", words, 2 * Code::max_files + 2);
  return message;
}

}  // namespace samestep::protocol
