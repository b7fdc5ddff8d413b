#include "replay/capture/effective_environment.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>
#include <torch/torch.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "replay/run/steering.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

extern char** environ;

namespace samestep::capture {
namespace {

using nlohmann::json;

// Some flags refuse to be read once old and new ways of setting them were mixed.
template <class Read>
std::string read_flag(Read&& read) {
  try {
    return read() ? "on" : "off";
  } catch (const c10::Error&) {
    return "mixed";
  }
}

std::string matmul_precision() {
  try {
    switch (at::globalContext().float32MatmulPrecision()) {
      case at::Float32MatmulPrecision::HIGHEST:
        return "highest";
      case at::Float32MatmulPrecision::HIGH:
        return "high";
      case at::Float32MatmulPrecision::MEDIUM:
        return "medium";
    }
  } catch (const c10::Error&) {
  }
  return "mixed";
}

bool flushes_denormals() {
#if defined(__x86_64__)
  constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;
  return (_mm_getcsr() & (flush_to_zero | denormals_are_zero)) != 0;
#else
  return false;
#endif
}

std::string first_line_of(const std::string& text, const std::string& marker) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (const auto at = line.find(marker); at != std::string::npos) return line.substr(at);
  }
  return "";
}

std::string field_of_file(const std::string& file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto colon = line.find(':');
    if (!line.starts_with(name) || colon == std::string::npos) continue;
    const auto value = line.find_first_not_of(" \t", colon + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

json steering_variables() {
  json variables = json::object();
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string::npos || !steers_computing(text.substr(0, equals))) continue;
    variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

json libraries() {
  const auto config = at::show_config();
  return {{"torch", TORCH_VERSION},
          {"mkl", first_line_of(at::get_mkl_version(), "Version")},
          {"onednn", first_line_of(at::get_mkldnn_version(), "oneDNN v")},
          {"openmp", at::get_openmp_version()},
          {"compiler", first_line_of(config, "GCC")}};
}

json processor() {
  return {{"model", field_of_file("/proc/cpuinfo", "model name")}, {"capability", at::get_cpu_capability()}};
}

json device_models() {
  json models = json::array();
  std::error_code none;
  std::set<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", none)) {
    folders.insert(entry.path());
  }
  for (const auto& folder : folders) models.push_back(field_of_file(folder / "information", "Model"));
  return models;
}

// Asked of the driver's files where they are there: asking the CUDA runtime would create a context.
json devices() {
  const auto& hooks = at::detail::getCUDAHooks();
  if (!at::hasCUDA() || hooks.getNumGPUs() == 0) return {{"count", 0}};
  return {{"count", hooks.getNumGPUs()},
          {"models", device_models()},
          {"driver", field_of_file("/proc/driver/nvidia/version", "NVRM version")},
          {"cuda", hooks.versionCUDART()},
          {"cudnn", hooks.hasCuDNN() ? hooks.versionRuntimeCuDNN() : 0L}};
}

json environment() {
  json environment = to_json(effective_settings());
  environment["libraries"] = libraries();
  environment["processor"] = processor();
  environment["devices"] = devices();
  environment["variables"] = steering_variables();
  return environment;
}

std::uint32_t number_from(std::initializer_list<const char*> variables, std::uint32_t otherwise) {
  for (const char* variable : variables) {
    const char* text = std::getenv(variable);
    if (text == nullptr) continue;
    char* end = nullptr;
    const auto value = std::strtoul(text, &end, 10);
    if (end != text && *end == '\0') return static_cast<std::uint32_t>(value);
  }
  return otherwise;
}

std::string program_name() {
  std::ifstream in("/proc/self/cmdline");
  std::string name;
  std::getline(in, name, '\0');
  return name;
}

}  // namespace

Settings effective_settings() {
  const auto& context = at::globalContext();
  Settings now;
  now.intra_threads = at::get_num_threads();
  now.inter_threads = static_cast<int>(at::get_num_interop_threads());
  now.deterministic = context.deterministicAlgorithms();
  now.deterministic_warn_only = context.deterministicAlgorithmsWarnOnly();
  now.fill_uninitialized = context.deterministicFillUninitializedMemory();
  now.cudnn_benchmark = context.benchmarkCuDNN();
  now.cudnn_deterministic = context.deterministicCuDNN();
  now.cudnn_enabled = context.userEnabledCuDNN();
  now.onednn_enabled = context.userEnabledMkldnn();
  now.onednn_deterministic = context.deterministicMkldnn();
  now.tf32_cublas = read_flag([&] { return context.allowTF32CuBLAS(); });
  now.tf32_cudnn = read_flag([&] { return context.allowTF32CuDNN(); });
  now.float32_matmul = matmul_precision();
  now.default_dtype = std::string(c10::get_default_dtype().name());
  now.flush_denormals = flushes_denormals();
  return now;
}

nlohmann::json to_json(const Settings& settings) {
  return {{"threads", {{"intra", settings.intra_threads}, {"inter", settings.inter_threads}}},
          {"deterministic",
           {{"algorithms", settings.deterministic},
            {"warn_only", settings.deterministic_warn_only},
            {"fill_uninitialized", settings.fill_uninitialized}}},
          {"cudnn",
           {{"enabled", settings.cudnn_enabled},
            {"benchmark", settings.cudnn_benchmark},
            {"deterministic", settings.cudnn_deterministic}}},
          {"onednn", {{"enabled", settings.onednn_enabled}, {"deterministic", settings.onednn_deterministic}}},
          {"tf32", {{"cublas", settings.tf32_cublas}, {"cudnn", settings.tf32_cudnn}}},
          {"float32_matmul", settings.float32_matmul},
          {"default_dtype", settings.default_dtype},
          {"flush_denormals", settings.flush_denormals}};
}

std::string describe_change(const Settings& before, const Settings& after) {
  const auto old_values = to_json(before).flatten(), new_values = to_json(after).flatten();
  std::string text;
  for (const auto& [path, value] : new_values.items()) {
    const auto& old = old_values[path];
    if (old == value) continue;
    auto name = path.substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    text += (text.empty() ? "" : "; ") + name + ": " + value.dump() + ", was " + old.dump();
  }
  return text;
}

DeterminismPins::DeterminismPins()
    : algorithms_(at::globalContext().deterministicAlgorithms()),
      warn_only_(at::globalContext().deterministicAlgorithmsWarnOnly()),
      fill_(at::globalContext().deterministicFillUninitializedMemory()),
      benchmark_(at::globalContext().benchmarkCuDNN()),
      tf32_(read_flag([] { return at::globalContext().allowTF32CuDNN(); }) == "on") {
  auto& context = at::globalContext();
  const char* strict = std::getenv(strict_variable);
  const bool as_error = strict != nullptr && *strict != '\0' && std::string(strict) != "0";
  if (as_error || !algorithms_) context.setDeterministicAlgorithms(true, !as_error);
  context.setDeterministicFillUninitializedMemory(true);
  if (tf32_) context.setAllowTF32CuDNN(false);
  context.setBenchmarkCuDNN(false);  // it would choose algorithms by timing them
}

DeterminismPins::~DeterminismPins() {
  if (kept_) return;
  auto& context = at::globalContext();
  context.setDeterministicAlgorithms(algorithms_, warn_only_);
  context.setDeterministicFillUninitializedMemory(fill_);
  if (tf32_) context.setAllowTF32CuDNN(true);
  context.setBenchmarkCuDNN(benchmark_);
}

std::vector<std::string> mapped_files() {
  std::set<std::string> files;
  std::error_code none;
  if (const auto self = std::filesystem::read_symlink("/proc/self/exe", none); !none) files.insert(self);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::string range, permissions, offset, device, inode, path;
    fields >> range >> permissions >> offset >> device >> inode >> std::ws;
    std::getline(fields, path);
    if (path.starts_with('/') && permissions.find('x') != std::string::npos && !path.ends_with(" (deleted)")) {
      files.insert(path);
    }
  }
  return {files.begin(), files.end()};
}

protocol::Hello describe_process() {
  protocol::Hello hello;
  hello.pid = ::getpid();
  hello.rank = number_from({"RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"}, 0);
  hello.world_size = number_from({"WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}, 1);
  hello.program = program_name();
  hello.environment = environment();
  hello.files = mapped_files();
  return hello;
}

std::uint64_t peak_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

std::uint64_t peak_device_memory() {
  if (!at::hasCUDA()) return 0;
  auto* allocator = at::getDeviceAllocator(at::kCUDA);
  if (allocator == nullptr || !allocator->initialized()) return 0;
  std::uint64_t total = 0;
  const auto& hooks = at::detail::getCUDAHooks();
  for (int device = 0; device < hooks.getNumGPUs(); ++device) {
    const auto index = static_cast<at::DeviceIndex>(device);
    if (!hooks.hasPrimaryContext(index)) continue;
    const auto stats = allocator->getDeviceStats(index);
    total += static_cast<std::uint64_t>(stats.reserved_bytes[0].peak);
  }
  return total;
}

}  // namespace samestep::capture
