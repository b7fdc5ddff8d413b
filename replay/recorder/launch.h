// Starts the command and waits for it. Standard input, output and the terminal are the command's; signals reach it; its
// end, however it came, is a value. The recorder never dies before the command: signals that would end it are taken in
// while the command runs, and passed on unless the terminal has already given them to the whole process group.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replay/recorder/server.h"

namespace samestep {

// Variables to set in a command's environment, or (nullopt) to remove from it; all others it inherits.
using EnvironmentChanges = std::map<std::string, std::optional<std::string>>;
// "NAME=value" of everything that this process has, changed.
[[nodiscard]] std::vector<std::string> environment_with(const EnvironmentChanges& changes);

// How a command ended.
struct Ending {
  enum class Kind : unsigned char { exited, killed, not_started };
  Kind kind = Kind::exited;
  int value = 0;      // exit code, signal number, or exit code for not_started: 127 (not found) or 126 (not executable)
  std::string error;  // not_started: one sentence
  std::string stopped = {};  // not empty: which of its limits it passed; it was ended for that
  int asked_to_stop = 0;     // the signal by which somebody asked for its end meanwhile; 0: nobody did

  // The command's own code; 128 + n for death by signal n.
  [[nodiscard]] int exit_code() const;
  // "exited with code 0", "killed by signal 9", "stopped after 60 s, its time limit", "not started: ...".
  [[nodiscard]] std::string text() const;
};

// Passed by a command and all that it started; it is ended then.
struct Limits {
  std::chrono::milliseconds time{0};  // 0: none
  std::uint64_t memory = 0;           // bytes, as its processes share them among each other; 0: none
  bool ends_when_asked = false;       // a signal to stop ends it at once, and is not passed on

  friend bool operator==(const Limits&, const Limits&) = default;
};

// What a command is started with, all of it settled.
struct Start {
  std::vector<std::string> argv;         // REQUIRES at least one word; looked up in PATH
  std::vector<std::string> environment;  // "NAME=value", all of it
  std::filesystem::path cwd;             // empty: the caller's
  int output = -1;                       // standard output and error; -1: the caller's. Not owned
  bool own_group = false;                // leads a process group of its own, where it is a child like any other
  sigset_t mask{};                       // signals that it finds blocked
  sigset_t defaults{};                   // signals set back to their default action
  std::filesystem::path socket_folder;   // must be reachable and writable for it, wherever it runs; empty: none
  int input = -1;                        // standard input; -1: the caller's. Not owned
};

// A command that was started.
class Running {
 public:
  Running() = default;
  virtual ~Running() = default;  // leaves it running where the kind of start allows that
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  // Readable once the command has ended; -1 where only ended() can tell.
  [[nodiscard]] virtual int descriptor() const = 0;
  [[nodiscard]] virtual bool ended() = 0;
  virtual void pass_on(int signal) = 0;
  // All that it started, as far as it can be found, descends from this process; -1 where it is not ours.
  [[nodiscard]] virtual pid_t process() const = 0;
  // SIGKILL, at once, to it and all that it started, where it is ours. From any thread, as long as nobody has called
  // reap().
  virtual void stop() = 0;
  // How it ended; waits for that. Called once, last.
  [[nodiscard]] virtual Ending reap() = 0;
};

// Where a command runs when it is not simply a child of the recorder: a view (replay/view/view.h).
class Enclosure {
 public:
  Enclosure() = default;
  virtual ~Enclosure() = default;
  Enclosure(const Enclosure&) = delete;
  Enclosure& operator=(const Enclosure&) = delete;

  // Null where the command cannot be started: `failed` says why then.
  [[nodiscard]] virtual std::unique_ptr<Running> start(const Start& start, Ending& failed) = 0;
};

struct Launch {
  std::vector<std::string> argv;   // REQUIRES at least one word; looked up in PATH
  std::filesystem::path cwd;       // empty: the caller's
  EnvironmentChanges environment;  // pins, set before the command loads its libraries
  std::filesystem::path output;    // not empty: standard output and error go to this (new) file
  Enclosure* enclosure = nullptr;  // null: the command is a child like any other. Not owned
  Limits limits = {};
  bool own_group = false;  // see Start
  // Told once it runs, in the caller's thread; it may be used until the server has finished.
  std::function<void(Running&)> started = [](Running&) {};
  // Asked now and then, where it is given: true when nothing more is wanted of the command. What is left of it then has
  // a few seconds to end by itself (others of its processes may wait for one that has ended), and is ended.
  std::function<bool()> is_over = nullptr;
};

// Starts a command as a child like any other; null where it cannot be started: `failed` says why then.
[[nodiscard]] std::unique_ptr<Running> start_child(const Start& start, Ending& failed);

// Of a status that wait(2) gave.
[[nodiscard]] Ending ending_of(int wait_status);
// Of a command that exec refused: 127 where there is none of that name, else 126.
[[nodiscard]] Ending not_started(const std::string& program, int error);

// Runs the command with protocol::socket_variable naming `server`'s socket. Returns when it has ended and every session
// of the processes it left behind has ended too (a signal to stop ends that waiting), after server.finish(). Throws
// nothing for a command that cannot be started. REQUIRES to be called from the main thread, before other threads than
// the server's own have been started with signals unblocked.
[[nodiscard]] Ending launch(const Launch& launch, Server& server);
// The same for a command that has nothing to tell: no server, no hooks, nothing on its standard input.
[[nodiscard]] Ending launch(const Launch& launch);

}  // namespace samestep
