// Starts the command and waits for it. Standard input, output and the terminal are the command's; signals reach it; its
// end, however it came, is a value. The recorder never dies before the command: signals that would end it are taken in
// while the command runs, and passed on unless the terminal has already given them to the whole process group.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replay/recorder/server.h"

namespace samestep {

// Variables to set in a command's environment, or (nullopt) to remove from it; all others it inherits.
using EnvironmentChanges = std::map<std::string, std::optional<std::string>>;

struct Launch {
  std::vector<std::string> argv;   // REQUIRES at least one word; looked up in PATH
  std::filesystem::path cwd;       // empty: the caller's
  EnvironmentChanges environment;  // pins, set before the command loads its libraries
  std::filesystem::path output;    // not empty: standard output and error go to this (new) file
};

// How a command ended.
struct Ending {
  enum class Kind : unsigned char { exited, killed, not_started };
  Kind kind = Kind::exited;
  int value = 0;      // exit code, signal number, or exit code for not_started: 127 (not found) or 126 (not executable)
  std::string error;  // not_started: one sentence

  // The command's own code; 128 + n for death by signal n.
  [[nodiscard]] int exit_code() const;
  // "exited with code 0", "killed by signal 9", "not started: ...".
  [[nodiscard]] std::string text() const;
};

// Runs the command with protocol::socket_variable naming `server`'s socket. Returns when it has ended and every session
// of the processes it left behind has ended too (a signal to stop ends that waiting), after server.finish(). Throws
// nothing for a command that cannot be started. REQUIRES to be called from the main thread, before other threads than
// the server's own have been started with signals unblocked.
[[nodiscard]] Ending launch(const Launch& launch, Server& server);

}  // namespace samestep
