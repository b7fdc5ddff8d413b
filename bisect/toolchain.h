// What an answer depends on beside the revision and the run: compilers, interpreters, the variables that steer them.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace samestep {

// Of the programs that builds and runs start here, found in PATH as a shell finds them: path, size and time of change
// of each; and of the variables that compilers and build programs read. Hexadecimal.
[[nodiscard]] std::string toolchain_digest(const std::string& build, const std::vector<std::string>& command);

// Of the pins of the recorded session, and of this process's variables: those of its terminal and login, of a cluster's
// job and of a build server's are left out (docs/bisect.md lists them). Values enter the digest alone, no file.
[[nodiscard]] std::string environment_digest(const nlohmann::json& recorded);

// This program itself: another build of it may compare or search otherwise. Hexadecimal.
[[nodiscard]] std::string program_identity();

// Of this machine: processor and its instruction sets, how many, GPUs and their driver. Hexadecimal.
[[nodiscard]] std::string machine_digest();
// The same of a machine as describe_machine() has it, with these models of GPUs.
[[nodiscard]] std::string machine_digest(const nlohmann::json& machine, const std::multiset<std::string>& gpus);

// Of a run's manifest, which holds the digests of all else in it. Throws BrokenInput where it cannot be read.
[[nodiscard]] std::string manifest_digest(const std::filesystem::path& run);

}  // namespace samestep
