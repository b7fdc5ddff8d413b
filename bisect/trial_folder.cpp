#include "bisect/trial_folder.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include "replay/run/error.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

void add_paths(std::vector<fs::path>& paths, const nlohmann::json& files) {
  if (!files.is_array()) return;
  for (const auto& file : files) {
    if (!file.is_object() || !file.contains("path") || !file["path"].is_string()) continue;
    const fs::path path = file["path"].get<std::string>();
    if (path.is_absolute() && path.native().find('\0') == std::string::npos) paths.push_back(path);
  }
}

}  // namespace

void refuse_a_full_disk(const fs::path& folder) {
  constexpr std::uint64_t least = std::uint64_t{8} << 20;
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return;
  if (static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize < least)
    throw BrokenInput(
        fmt::format("The disk of {}, where trials are made, is full: make room and start again.", folder.string()));
}

void remove_dumps(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> dumps;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    if (entry->path().extension() == ".safetensors") dumps.push_back(entry->path());
  for (const fs::path& dump : dumps) fs::remove(dump, error);
}

std::vector<fs::path> recorded_inputs(const nlohmann::json& what) {
  std::vector<fs::path> paths;
  if (!what.is_object()) return paths;
  add_paths(paths, what.value("files", nlohmann::json()));
  const nlohmann::json reads = what.value("reads", nlohmann::json());
  if (reads.is_object()) add_paths(paths, reads.value("files", nlohmann::json()));
  return paths;
}

fs::path new_trial_folder(const fs::path& folder, const std::string& name, std::uint64_t& number) {
  std::error_code error;
  fs::create_directories(folder, error);
  while (!error) {
    fs::path own = folder / fmt::format("{:03}-{}", ++number, name);
    if (fs::create_directory(own, error)) return own;
  }
  throw BrokenInput(fmt::format("Creating a folder in {} failed: {}.", folder.string(), error.message()));
}

}  // namespace samestep
