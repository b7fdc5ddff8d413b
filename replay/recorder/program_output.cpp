#include "replay/recorder/program_output.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <vector>

#include "replay/recorder/descriptor.h"

namespace samestep {

namespace {

using Clock = std::chrono::steady_clock;

struct Running {
  pid_t pid = 0;
  Descriptor output;
};

std::optional<Running> start(std::span<const std::string> argv, const std::filesystem::path& cwd) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  Running running{0, Descriptor(ends[0])};
  const Descriptor write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  if (!cwd.empty()) posix_spawn_file_actions_addchdir_np(&actions, cwd.c_str());
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const int error = ::posix_spawnp(&running.pid, words[0], &actions, nullptr, words.data(), ::environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return std::nullopt;
  return running;
}

// True where the program closed its output before `deadline`.
bool read_all(int output, Clock::time_point deadline, std::size_t limit, ProgramOutput& result) {
  std::array<char, 65536> piece;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{output, POLLIN, 0};
    if (left <= 0 || ::poll(&entry, 1, static_cast<int>(left)) == 0) return false;
    const ssize_t got = ::read(output, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0;
    const std::size_t room = limit - result.text.size();
    result.cut = result.cut || static_cast<std::size_t>(got) > room;
    result.text.append(piece.data(), std::min(room, static_cast<std::size_t>(got)));
  }
}

}  // namespace

std::optional<ProgramOutput> output_of(std::span<const std::string> argv, const std::filesystem::path& cwd,
                                       std::chrono::milliseconds patience, std::size_t limit) {
  const auto running = start(argv, cwd);
  if (!running) return std::nullopt;
  ProgramOutput result;
  const bool done = read_all(running->output.get(), Clock::now() + patience, limit, result);
  if (!done) ::kill(running->pid, SIGKILL);
  int status = 0;
  while (::waitpid(running->pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!done || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return result;
}

}  // namespace samestep
