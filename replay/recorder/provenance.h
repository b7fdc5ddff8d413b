// What ran, who ran it, and where: the part of a manifest that is known before the command starts.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "replay/recorder/pins.h"

namespace samestep {

// {"argv", "cwd", "standard_input", "user", "host", "boot_id", "process", "job", "began_ns", "machine", "pins",
// "environment", "revision"}; "revision" is null: describe_revision() tells it where the command is of that checkout.
[[nodiscard]] nlohmann::json describe_run(std::span<const std::string> argv, const std::filesystem::path& cwd,
                                          std::span<const Pin> pins);
// What this process has as its standard input, which is a command's unless it is started otherwise: {"kind"}, one of
// terminal, null, pipe, socket, file, closed, other, and a file's {"path"}.
[[nodiscard]] nlohmann::json describe_standard_input();
// HEAD, branch, the uncommitted difference (at most 1 MiB of text), names of untracked files (at most 64 KiB); null
// where cwd is in no git checkout, or git does not answer within seconds. Nothing
// that the checkout's own configuration names is started (replay/recorder/git.h).
[[nodiscard]] nlohmann::json describe_revision(const std::filesystem::path& cwd);
// Processor, flags, kernel, memory, GPU driver.
[[nodiscard]] nlohmann::json describe_machine();
// The program itself, and the words of the command that are files.
struct NamedFile {
  std::string path, role;
};
[[nodiscard]] std::vector<NamedFile> files_of_command(std::span<const std::string> argv,
                                                      const std::filesystem::path& cwd);

}  // namespace samestep
