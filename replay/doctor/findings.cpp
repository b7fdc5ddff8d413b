#include "replay/doctor/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ostream>

#include "replay/run/printable.h"

namespace samestep {
namespace {

using Level = Finding::Level;
using List = std::vector<Finding>;

std::string value_of(const Situation& situation, const char* name) {
  const auto found = situation.environment.find(name);
  return found == situation.environment.end() ? "" : found->second;
}

bool is_on(std::string value) {
  std::ranges::transform(value, value.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return value == "1" || value == "true" || value == "yes" || value == "on";
}

// --- Variables --------------------------------------------------------------------------------------------------

void hash_seed(const Situation& situation, List& list) {
  if (value_of(situation, "PYTHONHASHSEED") != "random") return;
  list.push_back({Level::problem, "hash_seed",
                  "PYTHONHASHSEED=random is set, and what you set wins: sets and dictionaries of strings are ordered "
                  "differently in every process",
                  "unset PYTHONHASHSEED (samestep record then sets it to 0), or give it a number"});
}

void dynamic_threads(const Situation& situation, List& list) {
  if (!is_on(value_of(situation, "OMP_DYNAMIC"))) return;
  list.push_back(
      {Level::problem, "dynamic_threads",
       "OMP_DYNAMIC lets OpenMP choose the number of threads anew for every loop, by the load of the machine; "
       "another number gives other bits",
       "unset OMP_DYNAMIC"});
}

void thread_count(const Situation& situation, List& list) {
  const std::string value = value_of(situation, "OMP_NUM_THREADS");
  const bool number = !value.empty() && value.size() < 6 &&
                      std::ranges::all_of(value, [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!number || std::stoul(value) <= situation.machine.physical_cores) return;
  list.push_back(
      {Level::note, "thread_count",
       fmt::format("OMP_NUM_THREADS={} on {} cores: slow, and only replays with {} threads give the same bits", value,
                   situation.machine.physical_cores, value),
       fmt::format("unset OMP_NUM_THREADS (samestep record then sets it to {})", situation.machine.physical_cores)});
}

// They choose other kernels than the libraries would; equal on both sides they harm nothing.
void processor_overrides(const Situation& situation, List& list) {
  for (const char* name :
       {"ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"}) {
    const std::string value = value_of(situation, name);
    if (value.empty()) continue;
    list.push_back(
        {Level::note, "processor_override",
         fmt::format("{}={} makes the libraries compute with other instructions than they would choose here: "
                     "other bits than where it is not set",
                     name, value),
         fmt::format("unset {}, or set it wherever the run is replayed (replays of it do)", name)});
  }
}

void cuda_variables(const Situation& situation, List& list) {
  if (!situation.machine.nvidia) return;
  const std::string workspace = value_of(situation, "CUBLAS_WORKSPACE_CONFIG");
  if (!workspace.empty() && workspace != ":4096:8" && workspace != ":16:8") {
    list.push_back({Level::problem, "cublas_workspace",
                    fmt::format("CUBLAS_WORKSPACE_CONFIG={} lets cuBLAS pick between workspaces: matrix products can "
                                "differ from run to run",
                                workspace),
                    "unset CUBLAS_WORKSPACE_CONFIG (samestep record then sets it to :4096:8)"});
  }
  for (const char* name : {"NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"}) {
    if (!is_on(value_of(situation, name))) continue;
    list.push_back({Level::note, "tf32",
                    fmt::format("{} turns TF32 on for programs that did not ask for it: other bits than on machines "
                                "without it",
                                name),
                    fmt::format("unset {}", name)});
  }
}

void preloaded(const Situation& situation, List& list) {
  const std::string value = value_of(situation, "LD_PRELOAD");
  if (value.empty()) return;
  list.push_back({Level::note, "preload",
                  fmt::format("LD_PRELOAD={} puts code into every program; a replay elsewhere will not have it", value),
                  "unset LD_PRELOAD, unless it is an allocator that you want"});
}

// --- The machine ------------------------------------------------------------------------------------------------

void memory_errors(const Situation& situation, List& list) {
  if (situation.memory_errors_uncorrected > 0) {
    list.push_back({Level::problem, "memory",
                    fmt::format("the kernel counts {} memory errors that could not be corrected: any bit may be wrong",
                                situation.memory_errors_uncorrected),
                    "replace the memory module that `dmesg` names (EDAC)"});
  } else if (situation.memory_errors_corrected > 0) {
    list.push_back({Level::note, "memory",
                    fmt::format("the kernel counts {} corrected memory errors: a module may be failing",
                                situation.memory_errors_corrected),
                    "watch `dmesg` for EDAC lines"});
  }
}

void place_of_runs(const Situation& situation, List& list) {
  constexpr std::uint64_t little = std::uint64_t{1} << 30;
  if (situation.runs_on_nfs) {
    list.push_back({Level::note, "nfs",
                    "runs would lie on NFS, where reading one while it grows is not promised to work (HDF5)",
                    "record to a local disk: samestep record --run /local/folder"});
  }
  if (situation.free_bytes < little) {
    list.push_back({Level::problem, "disk",
                    fmt::format("only {} MiB are free where runs are written: a recording ends when the disk is full",
                                situation.free_bytes >> 20),
                    "make room, or record elsewhere: samestep record --run DIR"});
  }
}

void views(const Situation& situation, List& list) {
  if (situation.views_refused.empty()) return;
  list.push_back(
      {Level::note, "views",
       fmt::format("copy-on-write views are refused here ({}): a replay must be asked to run --in-place, and what the "
                   "program overwrites or resumes from is not as it was",
                   situation.views_refused),
       "allow user namespaces and overlay mounts in them (Debian: sysctl kernel.unprivileged_userns_clone=1; "
       "Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0; containers: --cap-add SYS_ADMIN)"});
}

// --- Python -----------------------------------------------------------------------------------------------------

std::string release(const std::string& version) {
  return version.substr(0, version.find('+'));
}

void package(const PythonSituation& python, List& list) {
  const std::string install = fmt::format(
      "type in samestep's source folder: {} -m pip install --no-deps --force-reinstall .", python.executable);
  if (python.torch.empty()) {
    list.push_back({Level::note, "torch", fmt::format("{} has no torch: there is nothing to record", python.executable),
                    "name the program's own Python: samestep doctor -- /path/to/python train.py"});
  } else if (python.built_for.empty()) {
    list.push_back({Level::problem, "package",
                    fmt::format("{} has torch {} and no package samestep: its programs run unrecorded",
                                python.executable, python.torch),
                    install});
  } else if (release(python.built_for) != release(python.torch)) {
    list.push_back({Level::problem, "package",
                    fmt::format("the package samestep of {} was built for torch {}, it has torch {}: its programs run "
                                "unrecorded",
                                python.executable, python.built_for, python.torch),
                    install});
  }
}

void packages(const PythonSituation& python, List& list) {
  for (const std::string& text : python.changed_packages) {
    const std::string name = text.substr(0, text.find(' '));
    list.push_back({Level::problem, "changed_package", text,
                    fmt::format("find out who changed it; to undo: {} -m pip install --no-deps --force-reinstall "
                                "{}==<that version>",
                                python.executable, name)});
  }
  if (python.unchecked_files > 0) {
    list.push_back({Level::note, "unchecked",
                    fmt::format("{} files of installed packages could not be read in time", python.unchecked_files),
                    "run it again: what was read is remembered"});
  }
  for (const std::string& file : python.start_files) {
    list.push_back({Level::note, "start_file",
                    fmt::format("{} runs before every program of this Python, and no package installed it", file),
                    "read it; remove it if it is not yours"});
  }
}

}  // namespace

std::vector<Finding> findings(const Situation& situation) {
  List list;
  for (const auto check : {hash_seed, dynamic_threads, thread_count, processor_overrides, cuda_variables, preloaded,
                           memory_errors, place_of_runs, views})
    check(situation, list);
  if (situation.python) {
    package(*situation.python, list);
    packages(*situation.python, list);
  }
  std::ranges::stable_sort(list, std::ranges::greater{}, &Finding::level);
  return list;
}

bool has_problem(const std::vector<Finding>& findings) {
  return std::ranges::any_of(findings, [](const Finding& finding) { return finding.level == Level::problem; });
}

nlohmann::json to_json(const Finding& finding) {
  return {{"level", finding.level == Level::problem ? "problem" : "note"},
          {"check", finding.check},
          {"text", finding.text},
          {"fix", finding.fix}};
}

std::ostream& operator<<(std::ostream& out, const Finding& finding) {
  return out << fmt::format("  {:<10} {}\n  {:<10} fix: {}\n", finding.level == Level::problem ? "problem" : "note",
                            printable(finding.text), "", printable(finding.fix));
}

}  // namespace samestep
