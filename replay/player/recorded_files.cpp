#include "replay/player/recorded_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "kernels/digest.h"
#include "replay/run/error.h"
#include "replay/run/run_files.h"
#include "replay/run/strict_json.h"
#include "replay/view/places.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr const char* origin = "the manifest's files";
constexpr std::size_t most_path = 4096;

// Of a path that the recorder wrote. What no JSON can hold was replaced there: such a file is left as it is.
fs::path path_of(const nlohmann::json& text) {
  if (!text.is_string()) throw BrokenInput(fmt::format("{}: a path is no text", origin));
  const fs::path path = text.get<std::string>();
  const bool plain = path.is_absolute() && path.native() == path.lexically_normal().native() &&
                     path.native().size() < most_path && path.native().find('\0') == std::string::npos;
  if (!plain) throw BrokenInput(fmt::format("{}: '{}' is no absolute path of a file", origin, path.string()));
  return path.native().find("\xef\xbf\xbd") == std::string::npos ? path : fs::path();
}

fs::path path_in(const nlohmann::json& entry) {
  return path_of(json_field(entry, "path", origin));
}

bool is_shown(const fs::path& path, const std::vector<fs::path>& show) {
  return std::ranges::any_of(show, [&](const fs::path& shown) { return is_in(path, shown); });
}

EarlierFile::Type type_of(const nlohmann::json& entry) {
  const std::string type = json_text(entry, "type", origin);
  if (type == "file") return EarlierFile::Type::file;
  if (type == "link") return EarlierFile::Type::link;
  if (type == "folder") return EarlierFile::Type::folder;
  throw BrokenInput(fmt::format("{}: \"type\" is {}", origin, type));
}

// Read through the descriptor that the view will copy from, so that what was checked is what is put back.
std::shared_ptr<const Descriptor> verified_copy(const fs::path& file, std::uint64_t size, const std::string& digest) {
  auto contents =
      std::make_shared<const Descriptor>(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  // Before it is read: a copy that was made very long would take hours.
  if (*contents && ::fstat(contents->get(), &info) == 0 && static_cast<std::uint64_t>(info.st_size) != size)
    throw TamperedInput(fmt::format("{}: the manifest states {} bytes of this copy, it has {}", file.string(), size,
                                    info.st_size));
  const std::atomic<bool> never = false;
  const auto found = *contents ? file_digest(contents->get(), file, never) : std::nullopt;
  if (!found || found->hex() != digest)
    throw TamperedInput(fmt::format("{}: the manifest states the digest {} of this copy, its contents have {}",
                                    file.string(), digest, found ? found->hex() : "none"));
  return contents;
}

EarlierFile changed_file(const nlohmann::json& entry, const fs::path& run) {
  EarlierFile file;
  file.type = type_of(entry);
  file.at = path_in(entry);
  file.size = json_unsigned(entry, "size", origin);
  file.mtime_ns = json_integer(entry, "mtime_ns", origin);
  file.mode = json_u32(entry, "mode", origin);
  if (file.type == EarlierFile::Type::link) file.target = json_text(entry, "target", origin);
  if (file.type == EarlierFile::Type::file && json_field(entry, "saved", origin).is_string())
    file.contents = verified_copy(run_file(run, json_text(entry, "saved", origin)), file.size,
                                  json_text(entry, "digest", origin));
  return file;
}

// Of a recorder that tells it: whoever wrote there since may have meant it for the next training.
bool was_written_since(const nlohmann::json& entry, const EarlierFile& file) {
  struct stat now {};
  if (::lstat(file.at.c_str(), &now) != 0 || !S_ISREG(now.st_mode) || is_unchanged(file, now)) return false;
  const auto left = entry.find("left");
  if (left == entry.end()) return json_field(entry, "removed", origin) == true;
  EarlierFile as_left;
  as_left.size = json_unsigned(*left, "size", origin);
  as_left.mtime_ns = json_integer(*left, "mtime_ns", origin);
  return !is_unchanged(as_left, now);
}

void add_changed(RecordedFiles& files, const nlohmann::json& entry, const fs::path& run,
                 const std::vector<fs::path>& show) {
  const fs::path path = path_in(entry);
  if (path.empty() || is_shown(path, show)) return;
  EarlierFile file = changed_file(entry, run);
  if (was_written_since(entry, file)) files.set_aside.push_back(path);
  if (file.type != EarlierFile::Type::file || file.contents) {
    files.before.files.push_back(std::move(file));
  } else {
    const std::string why = entry.contains("why") && entry["why"].is_string() ? entry["why"].get<std::string>() : "";
    files.remarks.push_back(fmt::format("{} was changed by the recording and no copy was kept{}", path.string(),
                                        why.empty() ? "" : ": " + why));
  }
}

}  // namespace

RecordedFiles recorded_files(const nlohmann::json& session, const fs::path& run, const std::vector<fs::path>& show) {
  RecordedFiles files;
  if (!session.is_object() || !session.contains("writes")) return files;
  const nlohmann::json& writes = json_object(session, "writes", origin);
  for (const auto& folder : json_array(writes, "folders", origin)) {
    const fs::path path = path_of(folder);
    std::error_code error;
    if (!path.empty() && fs::is_directory(path, error) && can_be_laid_over(fs::canonical(path, error)))
      files.folders.push_back(path);
  }
  for (const auto& entry : json_array(writes, "made", origin)) {
    const fs::path path = path_in(entry);
    if (!path.empty() && !is_shown(path, show)) files.before.hidden.push_back(path);
  }
  for (const auto& entry : json_array(writes, "changed", origin)) add_changed(files, entry, run, show);
  return files;
}

}  // namespace samestep
