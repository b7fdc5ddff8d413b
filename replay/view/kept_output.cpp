#include "replay/view/kept_output.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "replay/run/error.h"
#include "replay/view/places.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

void check(const std::error_code& error, const fs::path& path) {
  if (error) throw BrokenInput(fmt::format("Keeping the replay's output: {}: {}.", path.string(), error.message()));
}

// An overlay marks what was removed by a device of number 0.
bool is_whiteout(const fs::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == 0;
}

void keep_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  check(error, to.parent_path());
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
  check(error, to);
  fs::permissions(to, fs::status(from).permissions() & fs::perms(0777), error);
  check(error, to);
}

void keep_link(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  fs::copy_symlink(from, to, error);
  check(error, to);
}

bool was_hidden(const fs::path& path, const EarlierState& before) {
  return std::ranges::any_of(before.hidden, [&](const fs::path& hidden) { return is_in(path, hidden); });
}

// Put back, and not written to since.
bool was_put_back(const fs::path& path, const fs::path& kept, const EarlierState& before) {
  const auto found = std::ranges::find(before.files, path, &EarlierFile::at);
  if (found == before.files.end()) return false;
  struct stat info {};
  return ::lstat(kept.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || is_unchanged(*found, info);
}

}  // namespace

void keep_layer(const fs::path& at, const fs::path& upper, const fs::path& folder, const EarlierState& before) {
  std::vector<fs::path> removed;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(upper, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const fs::path place = at / entry->path().lexically_relative(upper);
    const fs::path to = folder / place.relative_path();
    if (is_whiteout(entry->path())) {
      if (!was_hidden(place, before)) removed.push_back(place);
    } else if (was_put_back(place, entry->path(), before)) {
      continue;
    } else if (entry->is_symlink()) {
      keep_link(entry->path(), to);
    } else if (entry->is_regular_file()) {
      keep_file(entry->path(), to);
    }
  }
  check(error, upper);
  if (removed.empty()) return;
  std::ranges::sort(removed);
  std::ofstream list(folder / "removed.txt", std::ios::app);
  for (const fs::path& path : removed) list << path.string() << '\n';
}

}  // namespace samestep
