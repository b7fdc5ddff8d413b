#include "replay/view/inside.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "replay/view/messages.h"
#include "replay/view/namespaces.h"
#include "replay/view/view.h"

namespace samestep {
namespace {

using Kind = ViewMessage::Kind;

constexpr int failed = 125;  // exit code that nobody reads

// Whoever made this process and is gone leaves nothing behind.
void die_with_the_maker() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
}

// What the recorder holds open is not for a process that lives on beside it: a socket would never be seen to close.
void close_what_exec_would(const std::set<int>& except) {
  std::vector<int> open;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    open.push_back(std::stoi(entry.path().filename()));
  for (const int number : open) {
    const int flags = ::fcntl(number, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) != 0 && !except.contains(number)) ::close(number);
  }
}

std::set<int> needed_inside(const Inside& inside, int socket) {
  std::set<int> needed{socket, inside.lock};
  if (inside.start != nullptr) needed.insert({inside.start->output, inside.start->input});
  if (inside.before == nullptr) return needed;
  for (const EarlierFile& file : inside.before->files)
    if (file.contents) needed.insert(file.contents->get());
  return needed;
}

// --- The command ------------------------------------------------------------------------------------------------

// What the forked process tells before it becomes the command; nothing where it did.
struct Failure {
  enum class Step : int { none, namespaces, folder, exec } step = Step::none;
  int error = 0;
};

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

void take_signals(const Start& start) {
  for (int signal = 1; signal < SIGRTMIN; ++signal)
    if (sigismember(&start.defaults, signal) == 1) ::signal(signal, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &start.mask, nullptr);
}

// Tells on `told` that its namespaces are there, waits on `may_go`, becomes the command; without one it ends.
[[noreturn]] void become_the_command(const Start& start, int told, int may_go) {
  const auto give_up = [&](Failure::Step step, int error) {
    const Failure failure{step, error};
    [[maybe_unused]] const ssize_t written = ::write(told, &failure, sizeof failure);
    ::_exit(failed);
  };
  if (const int error = enter_inner_namespaces(); error != 0) give_up(Failure::Step::namespaces, error);
  const Failure nothing;
  char go = 0;
  if (::write(told, &nothing, sizeof nothing) < 0 || ::read(may_go, &go, 1) != 1) ::_exit(failed);
  if (start.argv.empty()) ::_exit(0);
  if (::chdir(start.cwd.c_str()) != 0) give_up(Failure::Step::folder, errno);
  if (start.input >= 0) ::dup2(start.input, STDIN_FILENO);
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
    if (start.output >= 0) ::dup2(start.output, stream);
  take_signals(start);
  ::execvpe(start.argv.front().c_str(), pointers(start.argv).data(), pointers(start.environment).data());
  give_up(Failure::Step::exec, errno);
  ::_exit(failed);
}

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw ViewRefused(refusal("opening a pipe", errno));
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
  }
  Descriptor read, write;
};

Failure failure_from(int pipe) {
  Failure failure;
  if (::read(pipe, &failure, sizeof failure) != sizeof failure) return {};
  return failure;
}

// The process that has become the command; 0 where it could not, which has been told.
pid_t start_command(const Start& start, int maker) {
  Pipe tells, goes;
  const pid_t pid = ::fork();
  if (pid < 0) throw ViewRefused(refusal("starting a process", errno));
  if (pid == 0) {
    tells.read.reset();
    goes.write.reset();
    become_the_command(start, tells.write.get(), goes.read.get());
  }
  tells.write.reset();
  Failure failure = failure_from(tells.read.get());
  if (failure.step == Failure::Step::namespaces) throw ViewRefused(refusal("making a user namespace", failure.error));
  map_identities(pid);
  [[maybe_unused]] const ssize_t written = ::write(goes.write.get(), "g", 1);
  failure = failure_from(tells.read.get());  // its end closes with exec
  if (failure.step == Failure::Step::none) {
    send(maker, {Kind::started});
    return pid;
  }
  send(maker, {Kind::not_started, failure.error, failure.step == Failure::Step::folder ? start.cwd.string() : ""});
  return 0;
}

// --- The first process ------------------------------------------------------------------------------------------

void reap(pid_t command, int maker) {
  int status = 0;
  for (pid_t ended = 0; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;)
    if (ended == command) send(maker, {Kind::ended, status});
}

// Until the maker hangs up.
void serve(pid_t command, int maker, int children) {
  for (;;) {
    std::array<pollfd, 2> entries{pollfd{maker, POLLIN, 0}, pollfd{children, POLLIN, 0}};
    if (::poll(entries.data(), entries.size(), -1) < 0) continue;
    signalfd_siginfo info{};
    while (::read(children, &info, sizeof info) == sizeof info) {
    }
    reap(command, maker);
    if (entries[0].revents == 0) continue;
    const auto message = receive(maker);
    if (!message) return;
    if (message->kind == Kind::signal) ::kill(command, message->value);
  }
}

Descriptor signals_of_children() {
  sigset_t taken;
  sigemptyset(&taken);
  sigaddset(&taken, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &taken, nullptr);
  return Descriptor(::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::vector<std::filesystem::path> folders_of(const MountPlan& mounts) {
  std::vector<std::filesystem::path> folders;
  for (const Layer& layer : mounts.layers) folders.push_back(layer.at);
  return folders;
}

void use_up_numbers(unsigned count) {
  for (; count > 0; --count) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    if (pid > 0) ::waitpid(pid, nullptr, 0);
  }
}

[[noreturn]] void be_first(const Inside& inside, int maker) noexcept {
  die_with_the_maker();
  try {
    mount_view(inside.mounts);
    if (inside.before != nullptr) put_back(*inside.before, folders_of(inside.mounts));
    use_up_numbers(inside.processes_before);
    if (inside.start == nullptr) {
      static_cast<void>(start_command({}, maker));
      ::_exit(0);
    }
    const Descriptor children = signals_of_children();
    if (const pid_t command = start_command(*inside.start, maker); command != 0) serve(command, maker, children.get());
  } catch (const std::exception& error) {
    send(maker, {Kind::refused, 0, error.what()});
  }
  ::_exit(0);
}

void enter(const Inside& inside, int maker) {
  if (!enter_namespaces(inside.mounts.network)) return;
  send(maker, {Kind::unmapped, ::getpid()});
  const auto answer = receive(maker);
  if (!answer || answer->kind != Kind::mapped) ::_exit(failed);
}

}  // namespace

void live_inside(const Inside& inside, Descriptor socket) noexcept {
  die_with_the_maker();
  try {
    close_what_exec_would(needed_inside(inside, socket.get()));
    enter(inside, socket.get());
    die_with_the_maker();  // entering a user namespace may have forgotten it
    const pid_t first = ::fork();
    if (first == 0) be_first(inside, socket.get());
    if (first < 0) throw ViewRefused(refusal("starting a process", errno));
    socket.reset();  // the maker shall see when the first process ends
    while (::waitpid(first, nullptr, 0) < 0 && errno == EINTR) {
    }
  } catch (const std::exception& error) {
    send(socket.get(), {Kind::refused, 0, error.what()});
  }
  ::_exit(0);
}

}  // namespace samestep
