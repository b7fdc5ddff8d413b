#include "replay/view/storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "replay/view/places.h"
#include "replay/view/view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr const char* name_prefix = "samestep-view-";
// A folder this young may be another process's that has made it and not locked it yet.
constexpr std::time_t young_seconds = 60;

struct Kind {
  std::uint32_t magic;
  const char* name;
};
// What the kernel takes for no upper layer, or what is no disk.
constexpr std::array no_upper_layers{Kind{0x794c7630, "an overlay itself"},
                                     Kind{0x01021994, "in memory (tmpfs)"},
                                     Kind{0x858458f6, "in memory (ramfs)"},
                                     Kind{0x6969, "on NFS"},
                                     Kind{0x65735546, "on FUSE"},
                                     Kind{0x4d44, "on FAT"},
                                     Kind{0x01021997, "on 9p"},
                                     Kind{0xfe534d42, "on SMB"}};

std::vector<fs::path> places() {
  std::vector<fs::path> list;
  const auto add = [&](const char* name, const char* below) {
    const char* value = std::getenv(name);
    if (value != nullptr && value[0] == '/') list.push_back((fs::path(value) / below).lexically_normal());
  };
  add("XDG_CACHE_HOME", "samestep/views");
  add("HOME", ".cache/samestep/views");
  list.emplace_back("/var/tmp");
  add("TMPDIR", ".");
  return list;
}

std::string file_system_objection(const fs::path& place) {
  struct statfs info {};
  if (::statfs(place.c_str(), &info) != 0) return std::strerror(errno);
  for (const Kind& kind : no_upper_layers)
    if (static_cast<std::uint32_t>(info.f_type) == kind.magic) return fmt::format("is {}", kind.name);
  return "";
}

// Makes `place` where it is not there; "", or why it can hold no storage beside `folders`.
std::string objection(const fs::path& place, const std::vector<fs::path>& folders, ViewStorage::Use use) {
  for (const fs::path& folder : folders)
    if (is_in(place, folder)) return fmt::format("lies in {}", folder.string());
  std::error_code error;
  fs::create_directories(place, error);
  if (error) return error.message();
  return use == ViewStorage::Use::plain_files ? "" : file_system_objection(place);
}

// The part of `path` that is there, links resolved, with the rest behind it.
fs::path resolved(const fs::path& path) {
  std::error_code error;
  fs::path whole = fs::weakly_canonical(path, error);
  return error ? path : whole;
}

// A new folder in `place`; empty where it cannot be made.
fs::path new_folder(const fs::path& place) {
  std::string name = (place / (std::string(name_prefix) + "XXXXXX")).string();
  return ::mkdtemp(name.data()) == nullptr ? fs::path() : fs::path(name);
}

Descriptor locked(const fs::path& folder) {
  Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (descriptor && ::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) descriptor.reset();
  return descriptor;
}

bool is_folder(int parent, const char* name) {
  struct stat info {};
  return ::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

// Removes what `parent` knows as `name`, with all that is in it.
void remove_entry(int parent, const char* name) {
  if (::unlinkat(parent, name, 0) == 0 || !is_folder(parent, name)) return;
  // The command may have taken the permissions away.
  static_cast<void>(::fchmodat(parent, name, S_IRWXU, 0));
  const int folder = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return;
  DIR* entries = ::fdopendir(folder);
  if (entries == nullptr) {
    ::close(folder);
    return;
  }
  while (const dirent* entry = ::readdir(entries)) {
    const std::string_view inner = entry->d_name;
    if (inner != "." && inner != "..") remove_entry(folder, entry->d_name);
  }
  ::closedir(entries);
  static_cast<void>(::unlinkat(parent, name, AT_REMOVEDIR));
}

}  // namespace

bool is_full(const fs::path& path) {
  constexpr std::uint64_t least = std::uint64_t{8} << 20;
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return false;
  const bool counts_files = info.f_files > 0;
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize < least || (counts_files && info.f_favail == 0);
}

bool is_storage(const fs::path& path) {
  return path.filename().native().starts_with(name_prefix);
}

// A storage is locked as long as a process of its view lives.
void remove_left_behind(const fs::path& place, std::time_t now) {
  std::error_code error;
  for (auto entry = fs::directory_iterator(place, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    struct stat info {};
    if (!entry->path().filename().string().starts_with(name_prefix)) continue;
    if (::lstat(entry->path().c_str(), &info) != 0 || info.st_uid != ::geteuid()) continue;
    if (info.st_ctime + young_seconds > now) continue;
    remove_if_left_behind(entry->path());
  }
}

void remove_if_left_behind(const fs::path& storage) {
  if (const Descriptor folder = locked(storage)) remove_tree(storage);
}

void remove_tree(const fs::path& folder) {
  remove_entry(AT_FDCWD, folder.c_str());
}

ViewStorage::ViewStorage(const std::vector<fs::path>& folders, Use use) {
  std::vector<std::string> objections;
  for (const fs::path& wished : places()) {
    const fs::path place = resolved(wished);
    std::string why = objection(place, folders, use);
    if (why.empty() && (path_ = new_folder(place)).empty()) why = std::strerror(errno);
    if (why.empty()) {
      remove_left_behind(place, std::time(nullptr));
      lock_ = locked(path_);
      return;
    }
    objections.push_back(fmt::format("{} {}", place.string(), why));
  }
  throw ViewRefused(
      fmt::format("A view needs a folder on a disk for what the program writes, outside of the folders it lays over: "
                  "{}. Let XDG_CACHE_HOME name such a folder, or run without a view: --in-place",
                  fmt::join(objections, "; ")));
}

ViewStorage::~ViewStorage() {
  remove_tree(path_);
}

}  // namespace samestep
