// A virtual environment for a lock file: the packages that it pins, laid over those of a base, so that what is there in
// the pinned version is not installed anew. Made once, and kept in the cache by the digest of everything that decides
// what is in it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bisect/checkout.h"
#include "replay/recorder/launch.h"

namespace samestep {

struct LockEnvironmentOptions {
  std::string base = "python3";  // the Python that is laid over, looked up in PATH
  std::filesystem::path cache;   // environments lie here, each in a folder of its own
  Limits limits;                 // of each command that makes one
  // $XDG_CACHE_HOME/samestep/environments, else ~/.cache/...; empty where there is no home.
  [[nodiscard]] static std::filesystem::path default_cache();
};

// What is installed: version by name, the names as pip compares them (lower case, '-' for '_' and '.').
using PackageVersions = std::map<std::string, std::string>;

struct LockEnvironment {
  std::filesystem::path folder;  // its programs lie in FOLDER/bin
  PackageVersions packages;
};

// The base as it is: its program, its version, where its packages lie. Throws BrokenInput where it is no Python.
struct BasePython {
  std::filesystem::path program;
  std::string version;
  std::vector<std::string> packages;
};
[[nodiscard]] BasePython base_python(const std::string& name);

// Makes the environment of `lock` unless it is there; what commands print goes to the new file `output`. Runs pip,
// which may reach the network and run the packages' own set-up; a file given with the lock's name is read as pip reads
// it, from its folder. `environment` is filled in where `why` of what is returned is empty. Throws BrokenInput where
// the cache cannot be written or is not the caller's own.
[[nodiscard]] Prepared make_environment(const std::filesystem::path& lock, const BasePython& base,
                                        const LockEnvironmentOptions& options, const std::filesystem::path& output,
                                        LockEnvironment& environment);

// What a command's environment must have to find that Python first.
[[nodiscard]] EnvironmentChanges changes_for(const LockEnvironment& environment);

// "scaling: 1.0 -> 1.1", by name; "(none)" where one has it not.
[[nodiscard]] std::vector<std::string> version_changes(const PackageVersions& before, const PackageVersions& after);

}  // namespace samestep
