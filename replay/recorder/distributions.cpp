#include "replay/recorder/distributions.h"

#include <algorithm>
#include <sstream>

#include "replay/run/error.h"
#include "replay/run/run_files.h"

namespace samestep {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_entries = 200'000;        // of a folder
constexpr std::size_t most_distributions = 10'000;   // of a folder
constexpr std::size_t most_files = 200'000;          // of a distribution
constexpr std::uintmax_t most_record = 64u << 20;    // bytes
constexpr std::uintmax_t most_metadata = 16u << 20;  // a long description is part of it
constexpr std::size_t most_value = 200;

// The value of a line "Name: value" before the first empty line; cut, for it goes into a manifest.
std::string header_field(const std::string& metadata, const std::string& name) {
  std::istringstream lines(metadata);
  for (std::string line; std::getline(lines, line) && !line.empty() && line != "\r";) {
    if (!line.starts_with(name + ": ")) continue;
    std::string value = line.substr(name.size() + 2, most_value);
    while (!value.empty() && (value.back() == '\r' || value.back() == ' ')) value.pop_back();
    return value;
  }
  return "";
}

std::optional<std::string> text_if_readable(const fs::path& file, std::uintmax_t most) {
  try {
    return text_of_file(file, most);
  } catch (const BrokenInput&) {
    return std::nullopt;
  }
}

int base64url_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  return c == '_' ? 63 : -1;
}

// 43 characters of base64url without padding hold 32 bytes and two zero bits.
std::optional<Digest> decode_sha256(std::string_view text) {
  if (text.size() != 43) return std::nullopt;
  Digest digest;
  std::uint32_t bits = 0;
  int count = 0;
  std::size_t filled = 0;
  for (const char c : text) {
    const int value = base64url_value(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    if (filled < digest.bytes.size()) digest.bytes[filled++] = static_cast<std::uint8_t>(bits >> count & 0xff);
  }
  return digest;
}

// The first field of a line of comma-separated values; `rest` is left behind its comma.
std::optional<std::string> take_field(std::string_view& rest) {
  std::string field;
  if (!rest.starts_with('"')) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    field = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return field;
  }
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] != '"') {
      field += rest[i];
    } else if (i + 1 < rest.size() && rest[i + 1] == '"') {
      field += rest[i++];
    } else {
      rest.remove_prefix(std::min(i + 2, rest.size()));
      return field;
    }
  }
  return std::nullopt;
}

// Debian's packages keep the RECORD of the build, and strip the libraries after it; no INSTALLER is named there.
bool may_be_stripped(const std::string& name, bool has_installer) {
  return !has_installer && fs::path(name).filename().string().find(".so") != std::string::npos;
}

void read_record(Distribution& distribution, const fs::path& folder, const std::string& text, bool has_installer) {
  distribution.has_record = true;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line) && distribution.files.size() < most_files;) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (auto file = parse_record_line(line); file && !may_be_stripped(file->name, has_installer))
      distribution.files[(folder / file->name).lexically_normal().string()] = std::move(*file);
  }
}

std::optional<Distribution> read_distribution(const fs::path& folder, const fs::path& information) {
  const bool wheel = information.extension() == ".dist-info";
  std::error_code error;
  const bool single_file = !wheel && fs::is_regular_file(information, error);  // an old form: the file itself
  const auto metadata =
      text_if_readable(single_file ? information : information / (wheel ? "METADATA" : "PKG-INFO"), most_metadata);
  if (!metadata) return std::nullopt;
  Distribution distribution;
  distribution.name = header_field(*metadata, "Name");
  distribution.version = header_field(*metadata, "Version");
  if (distribution.name.empty()) return std::nullopt;
  if (!wheel) return distribution;
  if (const auto record = text_if_readable(information / "RECORD", most_record))
    read_record(distribution, folder, *record, fs::exists(information / "INSTALLER", error));
  return distribution;
}

std::vector<fs::path> information_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  std::size_t seen = 0;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (++seen > most_entries || found.size() >= most_distributions) break;
    const std::string extension = entry->path().extension();
    if (extension == ".dist-info" || extension == ".egg-info") found.push_back(entry->path());
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace

std::optional<InstalledFile> parse_record_line(std::string_view line) {
  constexpr std::string_view kind = "sha256=";
  const auto first = take_field(line);
  const auto second = first ? take_field(line) : std::nullopt;
  if (!second || first->empty() || !second->starts_with(kind)) return std::nullopt;
  const auto sha256 = decode_sha256(std::string_view(*second).substr(kind.size()));
  if (!sha256) return std::nullopt;
  return InstalledFile{*first, *sha256};
}

std::vector<Distribution> distributions_in(const fs::path& folder) {
  std::vector<Distribution> found;
  for (const fs::path& information : information_in(folder))
    if (auto distribution = read_distribution(folder, information)) found.push_back(std::move(*distribution));
  std::ranges::stable_sort(found, {}, &Distribution::name);
  return found;
}

}  // namespace samestep
