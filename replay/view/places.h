// Which folders a view lays over, and which mounts lie beneath them: an overlay shows one file system, so whatever is
// mounted inside a folder must be laid over it again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace samestep {

struct Mount {
  std::uint64_t id = 0;
  std::filesystem::path at;
  std::string type;  // "ext4"
  friend bool operator==(const Mount&, const Mount&) = default;
};
// Of the text of /proc/self/mountinfo (proc(5)), in its order; a line that is none is left out.
[[nodiscard]] std::vector<Mount> parse_mounts(std::string_view mountinfo);
// Of this process, those that can be reached by their path: not hidden under another.
[[nodiscard]] std::vector<Mount> mounts_here();

// True where `path` is `folder` or lies in it. Both absolute and normal; links are not followed.
[[nodiscard]] bool is_in(const std::filesystem::path& path, const std::filesystem::path& folder);
// Sorted, without those that lie in another.
[[nodiscard]] std::vector<std::filesystem::path> outermost(std::vector<std::filesystem::path> folders);
// The mounts beneath `folder` (not at it), outer ones first; what mounts itself when it is looked at is left out.
[[nodiscard]] std::vector<Mount> beneath(const std::filesystem::path& folder, const std::vector<Mount>& mounts);

// Links resolved; a file's folder for a file. Throws BrokenInput where it is not there, or where it cannot be laid over
// (it is, holds or lies in a folder that a view makes itself: /, /proc, /sys, /dev except /dev/shm).
[[nodiscard]] std::filesystem::path folder_to_lay_over(const std::filesystem::path& path);
// True where folder_to_lay_over() of a folder that is there would not throw. For paths that a recording names.
[[nodiscard]] bool can_be_laid_over(const std::filesystem::path& folder);

}  // namespace samestep
