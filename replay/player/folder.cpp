#include "replay/player/folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <deque>
#include <fstream>

#include "replay/recorder/run_directory.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

void create(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw BrokenInput(fmt::format("Creating the replay's folder {} failed: {}.", folder.string(), error.message()));
  }
}

fs::path chosen(const fs::path& folder, const char* option) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    throw BrokenInput(
        fmt::format("{} {}: it exists and is not an empty folder; choose another.", option, folder.string()));
  }
  create(folder);
  return folder;
}

// Two replays within one second get folders of their own.
fs::path unused(const fs::path& parent, const std::string& name) {
  for (int attempt = 1; attempt < 1000; ++attempt) {
    fs::path folder = parent / (attempt == 1 ? name : fmt::format("{}-{}", name, attempt));
    std::error_code error;
    if (fs::create_directory(folder, error)) return folder;
    if (error) throw BrokenInput(fmt::format("Creating {} failed: {}.", folder.string(), error.message()));
  }
  throw BrokenInput(fmt::format("No free name for a folder in {}.", parent.string()));
}

std::string run_name(const fs::path& run) {
  const fs::path whole = fs::absolute(run).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

}  // namespace

fs::path make_replay_folder(const ReplayOptions& options) {
  if (options.save) return chosen(*options.save, "--save");
  if (options.folder) return chosen(*options.folder, "the replay's folder");
  const fs::path parent = "samestep-runs";
  create(parent);
  hide_from_git(parent);
  return unused(parent,
                fmt::format("{:%Y%m%dT%H%M%SZ}-replay-{}", fmt::gmtime(std::time(nullptr)), run_name(options.run)));
}

void make_output_folder(const ReplayOptions& options) {
  if (options.keep_output) (void)chosen(*options.keep_output, "--keep-output");
}

std::vector<std::string> last_lines(const fs::path& file, std::size_t lines) {
  constexpr std::streamoff tail = 16384;  // of a log that may be large
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) return {};
  in.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(in.tellg()) - tail));
  std::deque<std::string> kept;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    kept.push_back(line.substr(0, 160));
    if (kept.size() > lines) kept.pop_front();
  }
  return {kept.begin(), kept.end()};
}

}  // namespace samestep
