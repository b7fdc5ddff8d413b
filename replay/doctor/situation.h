// replay/doctor/ finds what would make recordings on this machine, in this environment, or of this program differ from
// each other. It may include kernels/ and replay/{run,checkpoint,compare,recorder,player}; no LibTorch. In three parts:
// this header looks at the machine, findings.h judges what was seen (pure), trial.h records a program twice.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "replay/recorder/pins.h"

namespace samestep {

// A Python as it says of itself, and the packages on its module path.
struct PythonSituation {
  std::string executable, version;
  std::string torch;                     // its version; empty: none
  std::string built_for;                 // the torch that its package samestep was built for; empty: no such package
  std::vector<std::string> start_files;  // sitecustomize and usercustomize that no package installed
  std::vector<std::string> changed_packages;  // one sentence each: files that are not as RECORD states
  std::size_t unchecked_files = 0;            // that could not be read in time
};

struct Situation {
  Environment environment;
  Machine machine;
  std::string views_refused;  // why no copy-on-write view can be made; empty: one can
  bool runs_on_nfs = false;   // where a run would be written
  std::uint64_t free_bytes = ~std::uint64_t{0};
  std::uint64_t memory_errors_corrected = 0, memory_errors_uncorrected = 0;  // counted by the kernel since it started
  std::optional<PythonSituation> python;                                     // nullopt: there is none
};

// What there is, for a command (or, where it is empty, any Python) started in `cwd`. Reads every source file of the
// installed packages once and remembers their digests. Throws nothing for what cannot be seen: it is left as it is
// above.
[[nodiscard]] Situation look(std::span<const std::string> argv, const std::filesystem::path& cwd);

// Of `command`, the Python that runs it: a word whose file name is python, python3, ...; else `python3`.
[[nodiscard]] std::string python_of(std::span<const std::string> argv);
// Asks one; nullopt where it does not start or makes no sense.
[[nodiscard]] std::optional<PythonSituation> look_at_python(const std::string& python,
                                                            const std::filesystem::path& cwd);
// The kernel's counts of memory errors below `devices` (/sys/devices/system/edac/mc).
void count_memory_errors(const std::filesystem::path& devices, Situation& situation);

}  // namespace samestep
