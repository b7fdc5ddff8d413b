#include "replay/recorder/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

#include "replay/recorder/pins.h"
#include "replay/recorder/process.h"
#include "replay/recorder/process_tree.h"
#include "replay/recorder/python_hook.h"
#include "replay/recorder/signals.h"

namespace samestep {

namespace {

constexpr const char* python_path_variable = "PYTHONPATH";

constexpr int tick_milliseconds = 100;

// What posix_spawn is told beside the words.
class SpawnSettings {
 public:
  explicit SpawnSettings(const Start& start) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    if (!start.cwd.empty()) posix_spawn_file_actions_addchdir_np(&actions_, start.cwd.c_str());
    if (start.input >= 0) posix_spawn_file_actions_adddup2(&actions_, start.input, STDIN_FILENO);
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
      if (start.output >= 0) posix_spawn_file_actions_adddup2(&actions_, start.output, stream);
    posix_spawnattr_setsigmask(&attributes_, &start.mask);
    posix_spawnattr_setsigdefault(&attributes_, &start.defaults);
    const int group = start.own_group ? POSIX_SPAWN_SETPGROUP : 0;
    posix_spawnattr_setflags(&attributes_, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group));
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  [[nodiscard]] int spawn(pid_t& pid, char* const* argv, char* const* environment) const {
    return ::posix_spawnp(&pid, argv[0], &actions_, &attributes_, argv, environment);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Words as exec wants them; the strings must outlive the result.
std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

// A script without a first line #! is a shell script, as every shell has it.
int spawn_as_shell_script(const SpawnSettings& settings, pid_t& pid, const Start& start, char* const* environment) {
  std::vector<std::string> words{"/bin/sh"};
  words.insert(words.end(), start.argv.begin(), start.argv.end());
  return settings.spawn(pid, pointers(words).data(), environment);
}

// A child of this process. Left unreaped until reap(), so that the server can still ask how it ended.
class Child : public Running {
 public:
  Child(pid_t pid, bool own_group) : pid_(pid), own_group_(own_group), process_(open_process(pid)) {}

  [[nodiscard]] int descriptor() const override { return process_.get(); }
  [[nodiscard]] bool ended() override {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid_;
  }
  void pass_on(int signal) override { ::kill(own_group_ ? -pid_ : pid_, signal); }
  [[nodiscard]] pid_t process() const override { return pid_; }
  void stop() override {
    for (const pid_t process : process_tree(pid_)) ::kill(process, SIGKILL);
    if (own_group_) ::kill(-pid_, SIGKILL);
  }
  [[nodiscard]] Ending reap() override {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    return ending_of(status);
  }

 private:
  pid_t pid_;
  bool own_group_;
  Descriptor process_;
};

EnvironmentChanges with_socket_and_hook(EnvironmentChanges changes, const std::string& socket) {
  changes[protocol::socket_variable] = socket;
  if (const auto hook = python_hook()) {
    const char* python_path = std::getenv(python_path_variable);
    changes[python_path_variable] = with_hook(*hook, python_path == nullptr ? "" : python_path);
  }
  return changes;
}

// `socket` is empty where nobody listens.
std::unique_ptr<Running> start(const Launch& launch, const std::string& socket, const Signals& signals,
                               Ending& failed) {
  const auto refuse = [&](const std::string& why) {
    failed = {Ending::Kind::not_started, 126, why};
    return nullptr;
  };
  std::error_code ignored_error;
  if (!launch.cwd.empty() && !std::filesystem::is_directory(launch.cwd, ignored_error))
    return refuse(fmt::format("there is no folder '{}'", launch.cwd.string()));
  Descriptor output;
  if (!launch.output.empty()) {
    output = Descriptor(::open(launch.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0600));
    if (!output) return refuse(fmt::format("cannot write '{}'", launch.output.string()));
  }
  Descriptor nothing;
  if (socket.empty()) nothing = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Start settled{
      launch.argv,
      environment_with(socket.empty() ? launch.environment : with_socket_and_hook(launch.environment, socket)),
      launch.cwd,
      output.get(),
      launch.own_group,
      signals.mask_before(),
      Signals::defaults(),
      std::filesystem::path(socket).parent_path(),
      nothing.get()};
  return launch.enclosure == nullptr ? start_child(settled, failed) : launch.enclosure->start(settled, failed);
}

// The terminal gives Ctrl-C to the whole foreground group, so the command has it already; a signal that a process sent
// came to us alone.
bool came_from_the_terminal(const signalfd_siginfo& info) {
  return info.ssi_code == SI_KERNEL;
}

// A command that runs, and what is watched meanwhile.
class Watched {
 public:
  Watched(Running& command, const Launch& launch, const Signals& signals)
      : command_(command),
        limits_(launch.limits),
        own_group_(launch.own_group),
        is_over_(launch.is_over),
        signals_(signals) {}

  // Waits for the command's end, passing signals on.
  void wait_for_end() {
    const int end = command_.descriptor();
    while (!command_.ended()) {
      std::array<pollfd, 2> entries{pollfd{signals_.descriptor(), POLLIN, 0}, pollfd{end, POLLIN, 0}};
      const bool looks = has_limits() || is_over_ != nullptr;
      ::poll(entries.data(), entries.size(), end >= 0 && !looks ? -1 : tick_milliseconds);
      take_signals();
      stop_if_due();
    }
  }

  // Trainers that a script left running in the background are recorded to their end, unless a signal says to stop.
  void wait_for_sessions(const Server& server) {
    while (server.live_clients() > 0 && stopped_.empty() && !asked_afterwards_ && !ended_for_that_) {
      pollfd entry{signals_.descriptor(), POLLIN, 0};
      ::poll(&entry, 1, tick_milliseconds);
      while (const auto info = signals_.take()) asked_afterwards_ = asked_afterwards_ || means_stop(note(*info));
      stop_if_due();
    }
  }

  [[nodiscard]] Ending ending() {
    Ending ending = command_.reap();
    while (const auto info = signals_.take()) note(*info);  // it may be what has ended the command, too
    ending.stopped = stopped_;
    ending.asked_to_stop = asked_;
    return ending;
  }

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool has_limits() const { return limits_.time.count() > 0 || limits_.memory > 0; }

  const signalfd_siginfo& note(const signalfd_siginfo& info) {
    if (means_stop(info)) asked_ = static_cast<int>(info.ssi_signo);
    return info;
  }

  void take_signals() {
    while (const auto info = signals_.take()) {
      if (means_stop(note(*info)) && limits_.ends_when_asked)
        command_.stop();
      else if (own_group_ || !came_from_the_terminal(*info))  // the terminal does not reach another group
        command_.pass_on(static_cast<int>(info->ssi_signo));
    }
  }

  bool passes_a_limit() {
    if (!stopped_.empty() || !has_limits()) return false;
    if (limits_.time.count() > 0 && Clock::now() - began_ > limits_.time)
      stopped_ = fmt::format("stopped after {} s, its time limit", static_cast<double>(limits_.time.count()) / 1000);
    else if (takes_too_much())
      stopped_ = fmt::format("stopped for taking more than {} bytes, its memory limit", limits_.memory);
    return !stopped_.empty();
  }

  void stop_if_due() {
    if (passes_a_limit() || outlives_its_use()) command_.stop();
  }

  // True once.
  bool outlives_its_use() {
    constexpr std::chrono::seconds grace{10};
    if (is_over_ == nullptr || ended_for_that_) return false;
    if (!is_over_())
      over_since_.reset();
    else if (!over_since_)
      over_since_ = Clock::now();
    if (!over_since_) return false;
    ended_for_that_ = Clock::now() - *over_since_ > grace;
    return ended_for_that_;
  }

  // Asked now and then: it reads a file of every process.
  bool takes_too_much() {
    if (limits_.memory == 0 || Clock::now() < next_look_) return false;
    next_look_ = Clock::now() + std::chrono::milliseconds(500);
    return memory_of(process_tree(command_.process())) > limits_.memory;
  }

  Running& command_;
  const Limits& limits_;
  const bool own_group_;
  const std::function<bool()>& is_over_;
  const Signals& signals_;
  std::optional<Clock::time_point> over_since_;
  bool ended_for_that_ = false;
  Clock::time_point began_ = Clock::now(), next_look_ = began_;
  std::string stopped_;
  int asked_ = 0;
  bool asked_afterwards_ = false;
};

}  // namespace

std::vector<std::string> environment_with(const EnvironmentChanges& changes) {
  Environment environment = current_environment();
  for (const auto& [name, value] : changes) {
    environment.erase(name);
    if (value) environment[name] = *value;
  }
  std::vector<std::string> words;
  for (const auto& [name, value] : environment) words.push_back(name + "=" + value);
  return words;
}

int Ending::exit_code() const {
  return kind == Kind::killed ? 128 + value : value;
}

std::string Ending::text() const {
  if (!stopped.empty()) return stopped;
  switch (kind) {
    case Kind::exited:
      return fmt::format("exited with code {}", value);
    case Kind::killed:
      return fmt::format("killed by signal {}", value);
    case Kind::not_started:
      break;
  }
  return "not started: " + error;
}

Ending ending_of(int wait_status) {
  if (WIFSIGNALED(wait_status)) return {Ending::Kind::killed, WTERMSIG(wait_status), ""};
  return {Ending::Kind::exited, WEXITSTATUS(wait_status), ""};
}

Ending not_started(const std::string& program, int error) {
  const int code = error == ENOENT ? 127 : 126;
  return {Ending::Kind::not_started, code, fmt::format("cannot start '{}': {}", program, std::strerror(error))};
}

std::unique_ptr<Running> start_child(const Start& start, Ending& failed) {
  const SpawnSettings settings(start);
  std::vector<std::string> environment = start.environment, words = start.argv;
  const auto environment_pointers = pointers(environment);
  pid_t pid = 0;
  int error = settings.spawn(pid, pointers(words).data(), environment_pointers.data());
  if (error == ENOEXEC) error = spawn_as_shell_script(settings, pid, start, environment_pointers.data());
  if (error == 0) return std::make_unique<Child>(pid, start.own_group);
  failed = not_started(start.argv.front(), error);
  return nullptr;
}

Ending launch(const Launch& launch, Server& server) {
  const Signals signals;
  Ending failed;
  const std::unique_ptr<Running> command = start(launch, server.socket_path(), signals, failed);
  if (command == nullptr) {
    server.finish();
    return failed;
  }
  launch.started(*command);
  Watched watched(*command, launch, signals);
  watched.wait_for_end();
  watched.wait_for_sessions(server);
  server.finish();
  return watched.ending();
}

Ending launch(const Launch& launch) {
  const Signals signals;
  Ending failed;
  const std::unique_ptr<Running> command = start(launch, "", signals, failed);
  if (command == nullptr) return failed;
  Watched watched(*command, launch, signals);
  watched.wait_for_end();
  return watched.ending();
}

}  // namespace samestep
