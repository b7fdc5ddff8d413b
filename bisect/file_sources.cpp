#include "bisect/file_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "replay/run/error.h"
#include "replay/run/run_files.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_entries = 2'000'000;  // of all folders; an environment has some 100,000

bool has(const fs::path& file, const Digest& digest) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return false;
  try {
    return file_digest(file) == digest;
  } catch (const BrokenInput&) {
    return false;  // not readable
  }
}

}  // namespace

FileSources::FileSources(std::vector<fs::path> given) : given_(std::move(given)) {
  for (const fs::path& place : given_)
    if (!fs::exists(place))
      throw BrokenInput(fmt::format("--from {}: there is no such file or folder", place.string()));
}

// Once, when the first file is wanted that is not where it was.
void FileSources::look_around() {
  if (std::exchange(looked_, true)) return;
  std::size_t entries = 0;
  for (const fs::path& place : given_) {
    std::error_code error;
    if (fs::is_regular_file(place, error)) by_name_[place.filename().string()].push_back(place);
    const auto skip = fs::directory_options::skip_permission_denied;
    for (auto at = fs::recursive_directory_iterator(place, skip, error);
         !error && at != fs::recursive_directory_iterator() && ++entries < most_entries; at.increment(error))
      by_name_[at->path().filename().string()].push_back(at->path());
  }
  for (auto& [name, files] : by_name_) std::ranges::sort(files);
}

std::optional<fs::path> FileSources::find(const Digest& digest, const std::string& name,
                                          const std::vector<fs::path>& likely) {
  for (const fs::path& file : likely) {
    std::error_code error;
    const fs::path real = fs::canonical(file, error);
    if (!error && has(real, digest)) return real;
  }
  look_around();
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return std::nullopt;
  const auto file = std::ranges::find_if(found->second, [&](const fs::path& each) { return has(each, digest); });
  return file == found->second.end() ? std::nullopt : std::make_optional(fs::canonical(*file));
}

}  // namespace samestep
