// What an answer depends on beside the revision and the run: compilers, interpreters, the variables that steer them.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace samestep {

// Of the programs that builds and runs start here, found in PATH as a shell finds them: path, size and time of change
// of each; and of the variables that compilers and build programs read. Hexadecimal.
[[nodiscard]] std::string toolchain_digest(const std::string& build, const std::vector<std::string>& command);

// Of the pins of the recorded session, and of this process's variables that steer computing or the search for code.
// Values enter the digest alone, no file.
[[nodiscard]] std::string environment_digest(const nlohmann::json& recorded);

// Of a run's manifest, which holds the digests of all else in it. Throws BrokenInput where it cannot be read.
[[nodiscard]] std::string manifest_digest(const std::filesystem::path& run);

}  // namespace samestep
