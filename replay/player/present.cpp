#include "replay/player/present.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <optional>

#include "replay/recorder/descriptor.h"
#include "replay/recorder/file_record.h"
#include "replay/recorder/provenance.h"
#include "replay/run/error.h"
#include "replay/run/run_files.h"

namespace samestep {
namespace {

constexpr std::chrono::seconds patience{60};  // for the digests that a replay has not finished by its end

const nlohmann::json& recorded_files(const nlohmann::json& what) {
  static const nlohmann::json none = nlohmann::json::array();
  return what.is_object() && what.contains("files") && what["files"].is_array() ? what["files"] : none;
}

// Of the files that the recording read; those it changed itself are not among them.
const nlohmann::json& recorded_reads(const nlohmann::json& what) {
  static const nlohmann::json none = nlohmann::json::array();
  if (!what.is_object() || !what.contains("reads") || !what["reads"].is_object()) return none;
  const nlohmann::json& reads = what["reads"];
  return reads.contains("files") && reads["files"].is_array() ? reads["files"] : none;
}

std::string text(const nlohmann::json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}

std::filesystem::path folder_of(const Command& command) {
  return command.launch.cwd.empty() ? std::filesystem::current_path() : command.launch.cwd;
}

// Size and time tell at once what a digest tells in the end.
std::string change_of(const nlohmann::json& file) {
  const std::string path = text(file, "path");
  if (path.empty() || text(file, "role") == "library") return "";
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return path + " is gone";
  if (file.contains("size") && file["size"].is_number_unsigned() && file["size"].get<std::uint64_t>() != size) {
    return fmt::format("{} has {} bytes, recorded were {}", path, size, file["size"].get<std::uint64_t>());
  }
  return "";
}

// Contents of equal size, of what was written to since. So many bytes are read before a replay starts; what is beyond
// is told by its digest when it ends.
class EqualSizes {
 public:
  // Empty where they are as recorded, or are not known to be others.
  std::string change_of(const nlohmann::json& file) {
    const std::string path = text(file, "path"), recorded = text(file, "digest");
    if (path.empty() || recorded.empty() || text(file, "role") == "library") return "";
    const Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat info {};
    if (!opened || ::fstat(opened.get(), &info) != 0 || !S_ISREG(info.st_mode) || !is_newer(file, info)) return "";
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (size > left_) return "";
    left_ -= size;
    const auto now = digest_of(opened.get(), path);
    if (!now || now->hex() == recorded) return "";
    return fmt::format("{} has other contents than recorded, as many bytes (digest {}, recorded {})", path,
                       now->hex().substr(0, 12), recorded.substr(0, 12));
  }

 private:
  // Any other time will do: a copy can bring an older one.
  static bool is_newer(const nlohmann::json& file, const struct stat& info) {
    const std::int64_t now = info.st_mtim.tv_sec * std::int64_t{1'000'000'000} + info.st_mtim.tv_nsec;
    return !file.contains("mtime_ns") || file["mtime_ns"] != now;
  }
  static std::optional<Digest> digest_of(int descriptor, const std::string& path) {
    const std::atomic<bool> never = false;
    try {
      return file_digest(descriptor, path, never);
    } catch (const BrokenInput&) {
      return std::nullopt;
    }
  }

  std::uint64_t left_ = std::uint64_t{1} << 30;
};

// The first of them; of a data set that was made anew every file is another.
void add_changes(std::vector<std::string>& found, const nlohmann::json& files) {
  constexpr std::size_t most_named = 20;
  std::size_t changed = 0;
  EqualSizes of_equal_size;
  for (const auto& file : files) {
    std::string change = change_of(file);
    if (change.empty()) change = of_equal_size.change_of(file);
    if (!change.empty() && ++changed <= most_named) found.push_back(std::move(change));
  }
  if (changed > most_named) found.push_back(fmt::format("{} more files", changed - most_named));
}

// In place of a digest, of a file that is another one already by its size.
std::string state_now(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? "gone" : fmt::format("{} bytes", size);
}

}  // namespace

Present::Present(const nlohmann::json& recorded, const Command& command, bool another_revision)
    : recorded_(recorded),
      what_(describe_run(command.launch.argv, folder_of(command), command.pins)),
      digests_(FileDigests::default_cache()),
      code_(digests_, ProgramCode::default_cache(), !another_revision) {
  if (!another_revision) what_["revision"] = describe_revision(folder_of(command));
  for (const NamedFile& file : files_of_command(command.launch.argv, folder_of(command))) {
    command_files_.push_back(file.path);
    digests_.add(file.path, file.role);
  }
  for (const auto& file : recorded_reads(recorded_))
    if (!text(file, "digest").empty() && change_of(file).empty())
      digests_.add(text(file, "path"), FileRecord::read_role);
}

std::vector<std::string> Present::changes() const {
  std::vector<std::string> found;
  for (const nlohmann::json* files : {&recorded_files(recorded_), &recorded_reads(recorded_)})
    add_changes(found, *files);
  const auto recorded = recorded_.is_object() ? recorded_.value("revision", nlohmann::json()) : nlohmann::json();
  const auto now = what_.value("revision", nlohmann::json());
  const std::string before = text(recorded, "commit");
  if (!before.empty() && before != text(now, "commit")) {
    found.push_back(
        fmt::format("the checkout is at {}, recorded was {}", text(now, "commit").substr(0, 12), before.substr(0, 12)));
  } else if (!before.empty() && text(recorded, "diff") != text(now, "diff")) {
    found.push_back("the checkout's uncommitted changes are others than at the recording");
  }
  return found;
}

Surroundings Present::surroundings(const Findings& findings) {
  for (const std::string& file : findings.files) digests_.add(file, "library");
  Surroundings now{what_, findings.environment};
  for (const protocol::Code& code : findings.code) code_.add(code);
  code_.settle();
  const std::vector<FileDigest> digests = digests_.finish(patience);
  code_.describe(now.what, digests, patience);
  now.what["reads"] = {{"files", nlohmann::json::array()}};
  for (const FileDigest& file : digests)
    if (file.role == FileRecord::read_role) now.what["reads"]["files"].push_back(to_json(file));
  for (const auto& file : recorded_reads(recorded_))
    if (!change_of(file).empty())
      now.what["reads"]["files"].push_back({{"path", text(file, "path")}, {"digest", state_now(text(file, "path"))}});
  return now;
}

bool command_has_changed(const nlohmann::json& recorded) {
  EqualSizes of_equal_size;
  return std::ranges::any_of(recorded_files(recorded), [&](const nlohmann::json& file) {
    const std::string role = text(file, "role");
    if (role != "program" && role != "argument") return false;
    return !change_of(file).empty() || !of_equal_size.change_of(file).empty();
  });
}

}  // namespace samestep
