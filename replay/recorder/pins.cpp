#include "replay/recorder/pins.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/steering.h"

namespace samestep {

namespace {

// Pinned by us where the user did not.
constexpr const char* threads = "OMP_NUM_THREADS";
constexpr const char* capability = "ATEN_CPU_CAPABILITY";
constexpr const char* mkl_branch = "MKL_CBWR";
constexpr const char* cublas_workspace = "CUBLAS_WORKSPACE_CONFIG";
constexpr const char* hash_seed = "PYTHONHASHSEED";

// Re-created by a replay where the user had set them.
constexpr std::array pin_names{threads,
                               capability,
                               mkl_branch,
                               cublas_workspace,
                               hash_seed,
                               format::entropy_variable,
                               "CUDA_LAUNCH_BLOCKING",
                               "DNNL_MAX_CPU_ISA",
                               "MKL_DYNAMIC",
                               "MKL_ENABLE_INSTRUCTIONS",
                               "MKL_NUM_THREADS",
                               "NCCL_ALGO",
                               "NCCL_PROTO",
                               "NVIDIA_TF32_OVERRIDE",
                               "OMP_DYNAMIC",
                               "OMP_SCHEDULE",
                               "ONEDNN_MAX_CPU_ISA",
                               "OPENBLAS_CORETYPE",
                               "OPENBLAS_NUM_THREADS",
                               strict_variable,
                               "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"};

// The secret is kept as a pin only: no session tells it, and no two recordings are set against each other by it.
static_assert(std::ranges::all_of(pin_names, [](std::string_view name) {
  return keeps_value(name) || name == format::entropy_variable;
}));
// These set OMP_NUM_THREADS for their workers where it is unset.
constexpr std::array launchers{"torchrun",
                               "torch.distributed.run",
                               "torch.distributed.launch",
                               "accelerate",
                               "deepspeed",
                               "mpirun",
                               "mpiexec",
                               "srun",
                               "ray"};

bool starts_several_ranks(std::span<const std::string> argv) {
  return std::ranges::any_of(argv, [](const std::string& word) {
    const std::string last = std::filesystem::path(word).filename();
    return std::ranges::find(launchers, last) != launchers.end();
  });
}

Pin threads_pin(const Environment& environment, std::span<const std::string> argv, const Machine& machine) {
  if (environment.contains("MKL_NUM_THREADS"))
    return {threads, std::nullopt, "nobody", "MKL_NUM_THREADS already decides how many threads torch takes"};
  if (starts_several_ranks(argv))
    return {threads, std::nullopt, "nobody", "the command starts several ranks and chooses for each"};
  return {threads, std::to_string(machine.physical_cores), "samestep",
          "the cores of the affinity mask: torch's default"};
}

Pin capability_pin(const Machine& machine) {
  if (!machine.x86) return {capability, std::nullopt, "nobody", "not an x86 processor"};
  const char* value = machine.avx512 ? "avx512" : machine.avx2 ? "avx2" : "default";
  return {capability, value, "samestep", "what torch chooses on this processor"};
}

// On Intel with AVX-512 the branch of that name gives the bits and the speed of the default; on an AMD EPYC every
// value, AUTO too, gives other bits than none at all, STRICT is slower and COMPATIBLE takes 2.2 times as long.
Pin mkl_pin(const Machine& machine) {
  if (machine.intel && machine.avx512) return {mkl_branch, "AVX512", "samestep", "MKL's default branch here"};
  return {mkl_branch, std::nullopt, "nobody", "on this processor every value changes the bits"};
}

Pin cublas_pin(const Machine& machine) {
  if (!machine.nvidia) return {cublas_workspace, std::nullopt, "nobody", "no NVIDIA driver"};
  return {cublas_workspace, ":4096:8", "samestep", "what deterministic algorithms ask for"};
}

// 64 hexadecimal digits.
std::string drawn_secret() {
  std::array<unsigned char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    throw BrokenInput("Drawing the run's secret: the kernel gives no random bytes.");
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

bool is_allowed_value(const std::string& value) {
  return value.size() <= 64 && std::ranges::all_of(value, [](unsigned char c) {
           return std::isalnum(c) != 0 ||
                  std::string_view(",.:_=+-").find(static_cast<char>(c)) != std::string_view::npos;
         });
}

std::string first_word_of(const std::string& file) {
  std::ifstream in(file);
  std::string word;
  in >> word;
  return word;
}

// (package, core) names a physical core; hyper-threads share one. MKL, and with it torch, counts those.
std::size_t physical_cores_in_mask() {
  cpu_set_t mask;
  if (::sched_getaffinity(0, sizeof mask, &mask) != 0)
    return static_cast<std::size_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}/topology/", cpu);
    const std::string core = first_word_of(folder + "core_id");
    cores.insert(core.empty() ? fmt::format("cpu {}", cpu)
                              : first_word_of(folder + "physical_package_id") + "/" + core);
  }
  return std::max<std::size_t>(1, cores.size());
}

std::set<std::string> processor_flags(bool& intel) {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("vendor_id")) intel = line.find("GenuineIntel") != std::string::npos;
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    return {std::istream_iterator<std::string>(words), {}};
  }
  return {};
}

}  // namespace

Environment current_environment() {
  Environment environment;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

Machine this_machine() {
  Machine machine;
  machine.physical_cores = physical_cores_in_mask();
#if defined(__x86_64__)
  machine.x86 = true;
#endif
  const auto flags = processor_flags(machine.intel);
  const auto has = [&](std::initializer_list<const char*> names) {
    return std::ranges::all_of(names, [&](const char* name) { return flags.contains(name); });
  };
  machine.avx2 = has({"avx2", "fma"});
  machine.avx512 = machine.avx2 && has({"avx512f", "avx512bw", "avx512dq", "avx512vl"});
  machine.nvidia = ::access("/proc/driver/nvidia/version", R_OK) == 0;
  return machine;
}

std::vector<Pin> pins_for_recording(const Environment& environment, std::span<const std::string> argv,
                                    const Machine& machine) {
  std::vector<Pin> pins{threads_pin(environment, argv, machine),
                        capability_pin(machine),
                        mkl_pin(machine),
                        cublas_pin(machine),
                        {hash_seed, "0", "samestep", "a fixed one of the seeds that Python would draw"},
                        {format::entropy_variable, drawn_secret(), "recording", "seeds for what is not seeded"}};
  for (const char* name : pin_names) {
    const auto found = environment.find(name);
    if (found == environment.end()) continue;
    const auto pin = std::ranges::find(pins, name, &Pin::name);
    Pin by_user{name, found->second, "user", ""};
    if (pin == pins.end())
      pins.push_back(by_user);
    else
      *pin = by_user;
  }
  return pins;
}

std::vector<Pin> pins_of_a_running_program(std::vector<Pin> pins) {
  for (Pin& pin : pins) {
    if (pin.by == "samestep") pin = {pin.name, std::nullopt, "nobody", "the program ran already"};
  }
  return pins;
}

nlohmann::json to_json(std::span<const Pin> pins) {
  auto list = nlohmann::json::array();
  for (const Pin& pin : pins) {
    list.push_back({{"name", pin.name}, {"by", pin.by}, {"why", pin.why}});
    list.back()["value"] = pin.value ? nlohmann::json(*pin.value) : nlohmann::json(nullptr);
  }
  return list;
}

std::vector<Pin> pins_from_manifest(const nlohmann::json& what) {
  std::vector<Pin> pins;
  if (!what.is_object() || !what.contains("pins") || !what["pins"].is_array()) return pins;
  for (const auto& entry : what["pins"]) {
    if (!entry.is_object() || !entry.value("name", nlohmann::json()).is_string() || !entry.contains("value")) continue;
    Pin pin{entry["name"].get<std::string>(), std::nullopt, "recording", ""};
    if (entry["value"].is_string()) pin.value = entry["value"].get<std::string>();
    if (is_pin(pin.name) && (!pin.value || is_allowed_value(*pin.value))) pins.push_back(std::move(pin));
  }
  return pins;
}

EnvironmentChanges changes_for(std::span<const Pin> pins, const Environment& environment) {
  EnvironmentChanges changes;
  for (const Pin& pin : pins) {
    const auto found = environment.find(pin.name);
    const bool there = found != environment.end();
    if (there != pin.value.has_value() || (there && found->second != *pin.value)) changes[pin.name] = pin.value;
  }
  return changes;
}

bool is_pin(std::string_view name) {
  return std::ranges::find(pin_names, name) != pin_names.end();
}

nlohmann::json kept_environment(const Environment& environment) {
  nlohmann::json kept{{"values", nlohmann::json::object()}, {"names", nlohmann::json::array()}};
  for (const auto& [name, value] : environment) {
    if (keeps_value(name))
      kept["values"][name] = value;
    else
      kept["names"].push_back(name);
  }
  return kept;
}

}  // namespace samestep
