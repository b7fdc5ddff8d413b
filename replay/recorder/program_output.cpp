#include "replay/recorder/program_output.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "replay/recorder/descriptor.h"

namespace samestep {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_errors = 4096;

struct Running {
  pid_t pid = 0;
  Descriptor output, errors;
};

struct Pipe {
  Descriptor read, write;
};

std::optional<Pipe> new_pipe() {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

std::optional<Running> start(const SmallProgram& program) {
  auto output = new_pipe(), errors = new_pipe();
  if (!output || !errors) return std::nullopt;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output->write.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors->write.get(), STDERR_FILENO);
  if (!program.cwd.empty()) posix_spawn_file_actions_addchdir_np(&actions, program.cwd.c_str());
  const auto words = pointers(program.argv), environment = pointers(program.environment);
  Running running{0, std::move(output->read), std::move(errors->read)};
  const int error = ::posix_spawnp(&running.pid, words[0], &actions, nullptr, words.data(),
                                   program.environment.empty() ? ::environ : environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return std::nullopt;
  return running;
}

// What one pipe brings; false where it has closed.
bool take_piece(int pipe, std::size_t limit, std::string& text, bool& cut) {
  std::array<char, 65536> piece;
  const ssize_t got = ::read(pipe, piece.data(), piece.size());
  if (got <= 0) return got < 0 && errno == EINTR;
  const std::size_t room = limit - text.size();
  cut = cut || static_cast<std::size_t>(got) > room;
  text.append(piece.data(), std::min(room, static_cast<std::size_t>(got)));
  return true;
}

// True where the program closed both of its pipes before `deadline`.
bool read_all(const Running& running, Clock::time_point deadline, std::size_t limit, ProgramEnd& result) {
  std::array<pollfd, 2> entries{pollfd{running.output.get(), POLLIN, 0}, pollfd{running.errors.get(), POLLIN, 0}};
  bool cut_errors = false;
  while (entries[0].fd >= 0 || entries[1].fd >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0 || ::poll(entries.data(), entries.size(), static_cast<int>(left)) == 0) return false;
    if (entries[0].revents != 0 && !take_piece(entries[0].fd, limit, result.text, result.cut)) entries[0].fd = -1;
    if (entries[1].revents != 0 && !take_piece(entries[1].fd, most_errors, result.errors, cut_errors))
      entries[1].fd = -1;
  }
  return true;
}

}  // namespace

std::optional<ProgramEnd> run_small(const SmallProgram& program) {
  const auto running = start(program);
  if (!running) return std::nullopt;
  ProgramEnd result;
  const bool done = read_all(*running, Clock::now() + program.patience, program.limit, result);
  if (!done) ::kill(running->pid, SIGKILL);
  int status = 0;
  while (::waitpid(running->pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (done && WIFEXITED(status)) result.code = WEXITSTATUS(status);
  return result;
}

std::optional<ProgramOutput> output_of(std::span<const std::string> argv, const std::filesystem::path& cwd,
                                       std::chrono::milliseconds patience, std::size_t limit) {
  auto end = run_small({{argv.begin(), argv.end()}, {}, cwd, patience, limit});
  if (!end || end->code != 0) return std::nullopt;
  return ProgramOutput{std::move(end->text), end->cut};
}

}  // namespace samestep
