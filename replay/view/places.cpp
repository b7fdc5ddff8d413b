#include "replay/view/places.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>

#include "replay/run/error.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

// A view makes these itself, or leaves them as they are.
constexpr std::array of_the_view{"/proc", "/sys", "/dev"};
constexpr const char* shared_memory = "/dev/shm";

// Spaces and backslashes stand as \040 and \134.
std::string unescaped(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3]);
    if (!escape) {
      plain += text[i];
      continue;
    }
    plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return plain;
}

// "id parent major:minor root point options [optional...] - type source options"
bool take(const std::string& line, Mount& mount) {
  std::istringstream words(line);
  std::string id, skipped, point, word;
  if (!(words >> id >> skipped >> skipped >> skipped >> point)) return false;
  while (words >> word && word != "-") {
  }
  if (!(words >> mount.type)) return false;
  mount.at = unescaped(point);
  return std::from_chars(id.data(), id.data() + id.size(), mount.id).ec == std::errc() && mount.at.is_absolute();
}

bool is_reached(const Mount& mount) {
  struct statx info {};
  if (::statx(AT_FDCWD, mount.at.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID, &info) != 0)
    return false;
  return (info.stx_mask & STATX_MNT_ID) == 0 || info.stx_mnt_id == mount.id;
}

[[noreturn]] void refuse(const fs::path& path, const std::string& why) {
  throw BrokenInput(fmt::format("Laying {} over in a view: {}.", path.string(), why));
}

}  // namespace

std::vector<Mount> parse_mounts(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    Mount mount;
    if (take(line, mount)) mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::vector<Mount> mounts_here() {
  std::ostringstream text;
  text << std::ifstream("/proc/self/mountinfo").rdbuf();
  std::vector<Mount> mounts = parse_mounts(text.str());
  std::erase_if(mounts, [](const Mount& mount) { return mount.type == "autofs" || !is_reached(mount); });
  return mounts;
}

bool is_in(const fs::path& path, const fs::path& folder) {
  const auto parted = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return parted.first == folder.end();
}

std::vector<fs::path> outermost(std::vector<fs::path> folders) {
  std::ranges::sort(folders);
  std::vector<fs::path> kept;
  for (fs::path& folder : folders)
    if (std::ranges::none_of(kept, [&](const fs::path& outer) { return is_in(folder, outer); }))
      kept.push_back(std::move(folder));
  return kept;
}

std::vector<Mount> beneath(const fs::path& folder, const std::vector<Mount>& mounts) {
  std::map<fs::path, Mount> found;  // by path: outer ones first, the last of several at one place
  for (const Mount& mount : mounts)
    if (mount.at != folder && is_in(mount.at, folder)) found[mount.at] = mount;
  std::vector<Mount> list;
  for (auto& [at, mount] : found) list.push_back(std::move(mount));
  return list;
}

bool can_be_laid_over(const fs::path& folder) {
  return std::ranges::none_of(of_the_view, [&](const char* own) {
    if (is_in(folder, shared_memory)) return false;
    return is_in(folder, own) || is_in(own, folder);
  });
}

fs::path folder_to_lay_over(const fs::path& path) {
  std::error_code error;
  fs::path folder = fs::canonical(path, error);
  if (error) refuse(path, error.message());
  if (!fs::is_directory(folder, error)) folder = folder.parent_path();
  if (can_be_laid_over(folder)) return folder;
  const bool holds = is_in("/proc", folder);
  refuse(path, holds ? fmt::format("{} is not a folder but the whole system; work in a folder below it, or without a "
                                   "view (--in-place)",
                                   folder.string())
                     : fmt::format("{} belongs to the view itself", folder.string()));
}

}  // namespace samestep
