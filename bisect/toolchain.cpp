#include "bisect/toolchain.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "bisect/json_bytes.h"
#include "kernels/digest.h"
#include "replay/recorder/pins.h"
#include "replay/recorder/provenance.h"
#include "replay/run/passing_variables.h"
#include "replay/run/run_files.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

// Started by builds and scripts without being named in the command.
constexpr std::array usual_programs{"c++", "cc",     "clang", "clang++", "cmake", "g++",    "gcc",     "git",
                                    "ld",  "ccache", "make",  "ninja",   "nvcc",  "python", "python3", "sh"};
constexpr std::array build_variables{"CC",
                                     "CFLAGS",
                                     "CMAKE_PREFIX_PATH",
                                     "CPATH",
                                     "CPPFLAGS",
                                     "CXX",
                                     "CXXFLAGS",
                                     "LDFLAGS",
                                     "LD_LIBRARY_PATH",
                                     "LD_PRELOAD",
                                     "PATH",
                                     "CUDAFLAGS",
                                     "NVCC_APPEND_FLAGS",
                                     "PYTHONHOME",
                                     "PYTHONPATH",
                                     "SOURCE_DATE_EPOCH",
                                     "VIRTUAL_ENV",
                                     "CONDA_PREFIX"};

// Where a shell finds it; empty where there is none.
fs::path program_path(const std::string& word) {
  if (word.find('/') != std::string::npos) return word;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    fs::path candidate = fs::path(folder.empty() ? "." : folder) / word;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

nlohmann::json identity_of(const fs::path& program) {
  struct stat info {};
  std::error_code error;
  const fs::path real = fs::canonical(program, error);
  if (program.empty() || error || ::stat(real.c_str(), &info) != 0) return nullptr;
  return {bytes_to_json(real.native()), info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

// As the driver lists them; without one there are none.
std::multiset<std::string> gpu_models() {
  std::multiset<std::string> models;
  std::error_code error;
  for (auto gpu = fs::directory_iterator("/proc/driver/nvidia/gpus", error); !error && gpu != fs::directory_iterator();
       gpu.increment(error)) {
    std::ifstream lines(gpu->path() / "information");
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with("Model:")) models.insert(line);
  }
  return models;
}

std::string hex_of(const nlohmann::json& json) {
  return digest(json_dump(json)).hex();
}

}  // namespace

std::string toolchain_digest(const std::string& build, const std::vector<std::string>& command) {
  std::set<std::string> words(usual_programs.begin(), usual_programs.end());
  std::istringstream in(build);
  for (std::string word; in >> word;) words.insert(word);
  if (!command.empty()) words.insert(command.front());
  nlohmann::json json = nlohmann::json::object();
  for (const std::string& word : words)
    json["programs"].push_back({bytes_to_json(word), identity_of(program_path(word))});
  for (const char* name : build_variables)
    if (const char* value = std::getenv(name)) json["variables"][name] = bytes_to_json(std::string(value));
  return hex_of(json);
}

std::string program_identity() {
  return hex_of(identity_of("/proc/self/exe"));
}

std::string environment_digest(const nlohmann::json& recorded) {
  nlohmann::json json{{"pins", to_json(pins_from_manifest(recorded))}};
  for (const auto& [name, value] : current_environment())
    if (!is_passing(name)) json["variables"].push_back({bytes_to_json(name), bytes_to_json(value)});
  return hex_of(json);
}

std::string machine_digest() {
  return machine_digest(describe_machine(), gpu_models());
}

std::string machine_digest(const nlohmann::json& machine, const std::multiset<std::string>& gpus) {
  nlohmann::json json{{"gpus", gpus}};
  for (const char* part : {"processor", "processor_flags", "processors", "cores", "architecture", "gpu_driver"})
    json[part] = machine.value(part, nlohmann::json());
  return hex_of(json);
}

std::string manifest_digest(const fs::path& run) {
  return file_digest(run / "manifest.json").hex();
}

}  // namespace samestep
