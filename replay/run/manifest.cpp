#include "replay/run/manifest.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/run_files.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

using nlohmann::json;

// --- Text -> values ---------------------------------------------------------------------------------------------

Digest digest_field(const json& object, const char* key, const std::string& origin) {
  const std::string text = json_text(object, key, origin);
  const auto digest = Digest::from_hex(text);
  if (!digest) throw BrokenInput(origin + ": \"" + key + "\" is not a digest of 64 hexadecimal digits: " + text);
  return *digest;
}

std::optional<Digest> optional_digest(const json& object, const char* key, const std::string& origin) {
  if (json_field(object, key, origin).is_null()) return std::nullopt;
  return digest_field(object, key, origin);
}

SegmentEntry segment_of(const json& value, const std::string& origin) {
  SegmentEntry entry;
  entry.rank = json_u32(value, "rank", origin);
  entry.number = json_u32(value, "number", origin);
  entry.file = json_text(value, "file", origin);
  entry.first_step = json_unsigned(value, "first_step", origin);
  entry.steps = json_unsigned(value, "steps", origin);
  if (entry.first_step > format::max_step || entry.steps > format::max_step) {
    throw BrokenInput(origin + ": a segment's steps are out of range");
  }
  entry.ended = json_text(value, "ended", origin);
  entry.digest = optional_digest(value, "digest", origin);
  entry.chain = optional_digest(value, "chain", origin);
  entry.log_chain = optional_digest(value, "log_chain", origin);
  entry.began_ns = json_integer(value, "began_ns", origin);
  entry.ended_ns = json_integer(value, "ended_ns", origin);
  entry.process = json_object(value, "process", origin);
  entry.environment = json_object(value, "environment", origin);
  return entry;
}

AnchorEntry anchor_of(const json& value, const std::string& origin) {
  AnchorEntry entry;
  entry.step = json_unsigned(value, "step", origin);
  entry.rank = json_u32(value, "rank", origin);
  entry.segment = json_u32(value, "segment", origin);
  entry.file = json_text(value, "file", origin);
  entry.bytes = json_unsigned(value, "bytes", origin);
  entry.digest = digest_field(value, "digest", origin);
  return entry;
}

Event event_of(const json& value, const std::string& origin) {
  Event event;
  event.utc_ns = json_integer(value, "utc_ns", origin);
  event.rank = json_u32(value, "rank", origin);
  event.kind = json_text(value, "kind", origin);
  if (!json_field(value, "step", origin).is_null()) event.step = json_unsigned(value, "step", origin);
  event.tensor = json_text(value, "tensor", origin);
  event.text = json_text(value, "text", origin);
  return event;
}

template <class Value>
std::vector<Value> list_of(const json& object, const char* key, Value (*read)(const json&, const std::string&),
                           const std::string& origin) {
  std::vector<Value> list;
  for (const json& value : json_array(object, key, origin)) list.push_back(read(value, origin + ", \"" + key + "\""));
  return list;
}

bool is_run_id(const std::string& text) {
  return text.size() == format::run_id_length && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Manifest manifest_of(const json& value, const std::string& origin) {
  Manifest manifest;
  manifest.format_version = json_u32(value, "format_version", origin);
  if (manifest.format_version != format::version) {
    throw BrokenInput(origin + ": written in format " + std::to_string(manifest.format_version) +
                      ", this program reads format " + std::to_string(format::version));
  }
  manifest.run_id = json_text(value, "run_id", origin);
  if (!is_run_id(manifest.run_id)) throw BrokenInput(origin + ": \"run_id\" is not 32 hexadecimal digits");
  manifest.what = json_object(value, "what", origin);
  manifest.segments = list_of(value, "segments", segment_of, origin);
  manifest.anchors = list_of(value, "anchors", anchor_of, origin);
  manifest.events = list_of(value, "events", event_of, origin);
  return manifest;
}

// --- Values -> text ---------------------------------------------------------------------------------------------

json hex_or_null(const std::optional<Digest>& digest) {
  return digest ? json(digest->hex()) : json(nullptr);
}

json to_json(const SegmentEntry& entry) {
  return {{"rank", entry.rank},
          {"number", entry.number},
          {"file", entry.file},
          {"first_step", entry.first_step},
          {"steps", entry.steps},
          {"ended", entry.ended},
          {"digest", hex_or_null(entry.digest)},
          {"chain", hex_or_null(entry.chain)},
          {"log_chain", hex_or_null(entry.log_chain)},
          {"began_ns", entry.began_ns},
          {"ended_ns", entry.ended_ns},
          {"process", entry.process},
          {"environment", entry.environment}};
}

json to_json(const AnchorEntry& entry) {
  return {{"step", entry.step}, {"rank", entry.rank},   {"segment", entry.segment},
          {"file", entry.file}, {"bytes", entry.bytes}, {"digest", entry.digest.hex()}};
}

json to_json(const Event& event) {
  return {{"utc_ns", event.utc_ns}, {"rank", event.rank},
          {"kind", event.kind},     {"step", event.step ? json(*event.step) : json()},
          {"tensor", event.tensor}, {"text", event.text}};
}

template <class Value>
json list_json(const std::vector<Value>& list) {
  json values = json::array();
  for (const Value& value : list) values.push_back(to_json(value));
  return values;
}

// --- The digest of the file, in the file ------------------------------------------------------------------------

// The text begins with this and 64 digits, so the field is found without believing anything that follows.
constexpr std::string_view digest_prefix = "{\n  \"digest\": \"";
constexpr std::size_t digest_digits = 64;

Digest digest_of_text(std::string text) {
  text.replace(digest_prefix.size(), digest_digits, digest_digits, '0');
  return digest(text);
}

void check_own_digest(std::string_view text, const std::string& origin) {
  const auto stated = Digest::from_hex(text.substr(digest_prefix.size(), digest_digits));
  if (!stated) throw BrokenInput(origin + ": its own digest is not 64 hexadecimal digits");
  const Digest found = digest_of_text(std::string(text));
  if (found != *stated) {
    throw TamperedInput(origin + ": edited after it was written: it states the digest " + stated->hex() +
                        ", its contents have " + found.hex());
  }
}

// --- Files ------------------------------------------------------------------------------------------------------

[[noreturn]] void cannot_write(const std::filesystem::path& file) {
  throw BrokenInput("cannot write " + file.string() + ": " + std::strerror(errno));
}

void write_all(int descriptor, std::string_view text, const std::filesystem::path& file) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) cannot_write(file);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void write_synced(const std::filesystem::path& file, std::string_view text) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) cannot_write(file);
  try {
    write_all(descriptor, text, file);
    if (::fsync(descriptor) != 0) cannot_write(file);
  } catch (...) {
    ::close(descriptor);
    ::unlink(file.c_str());
    throw;
  }
  if (::close(descriptor) != 0) cannot_write(file);
}

// Makes the rename itself last through a loss of power. A folder that cannot be synced (some network disks) is no
// error.
void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  static_cast<void>(::fsync(descriptor));
  ::close(descriptor);
}

}  // namespace

std::string new_run_id() {
  constexpr const char* digits = "0123456789abcdef";
  std::array<unsigned char, format::run_id_length> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    throw BrokenInput("Naming the run: the kernel gives no random bytes.");
  std::string id;
  for (const unsigned char byte : bytes) id += digits[byte % 16];
  return id;
}

Manifest parse_manifest(std::string_view text, const std::string& origin) {
  const bool begins_well = text.starts_with(digest_prefix) && text.size() > digest_prefix.size() + digest_digits;
  if (!begins_well) throw BrokenInput(origin + ": not a manifest of a run: it does not begin with its own digest");
  check_own_digest(text, origin);
  return manifest_of(parse_json(text, origin), origin);
}

Manifest read_manifest(const std::filesystem::path& run) {
  // A hundred thousand events and a megabyte of uncommitted difference are far below it.
  constexpr std::uintmax_t most_manifest_bytes = std::uintmax_t{256} << 20;
  const std::filesystem::path file = run / format::manifest_file;
  if (!std::filesystem::is_directory(run)) throw BrokenInput(run.string() + ": no such run directory");
  return parse_manifest(text_of_file(file, most_manifest_bytes), file.string());
}

std::string manifest_text(const Manifest& manifest) {
  const json value{{"format_version", manifest.format_version},
                   {"run_id", manifest.run_id},
                   {"what", manifest.what},
                   {"segments", list_json(manifest.segments)},
                   {"anchors", list_json(manifest.anchors)},
                   {"events", list_json(manifest.events)}};
  std::string text =
      std::string(digest_prefix) + std::string(digest_digits, '0') + "\"," + json_dump(value, 2).substr(1);
  text += '\n';
  text.replace(digest_prefix.size(), digest_digits, digest_of_text(text).hex());
  return text;
}

void write_manifest(const std::filesystem::path& run, const Manifest& manifest) {
  const std::filesystem::path file = run / format::manifest_file;
  const std::filesystem::path temporary = run / (std::string(format::manifest_file) + ".new");
  write_synced(temporary, manifest_text(manifest));
  if (::rename(temporary.c_str(), file.c_str()) != 0) cannot_write(file);
  sync_folder(run);
}

}  // namespace samestep
