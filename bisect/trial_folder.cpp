#include "bisect/trial_folder.h"

#include <fmt/format.h>

#include "replay/recorder/run_directory.h"
#include "replay/run/error.h"
#include "replay/view/storage.h"

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

[[noreturn]] void refuse(const fs::path& folder) {
  throw BrokenInput(
      fmt::format("The disk of {}, where trials are made, is full: make room and start again.", folder.string()));
}

}  // namespace

void refuse_a_full_disk(const fs::path& folder) {
  if (is_full(folder)) refuse(folder);
}

void refuse_a_full_disk(const ReplayAnswer& replayed, const TrialAnswer& answer, const fs::path& own) {
  if (!replayed.full_disk.empty()) refuse(replayed.full_disk);
  if (answer.outcome == TrialOutcome::untestable) refuse_a_full_disk(own);
}

void make_bisect_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw BrokenInput(fmt::format("Making the bisect's folder {}: {}.", folder.string(), error.message()));
  if (folder.parent_path().filename() == "samestep-runs") hide_from_git(folder.parent_path());
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
