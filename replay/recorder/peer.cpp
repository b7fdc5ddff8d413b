#include "replay/recorder/peer.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "replay/recorder/process.h"

namespace samestep {

namespace {

// Since Linux 6.15 the kernel tells how a process that is not our child ended (include/uapi/linux/pidfd.h), e.g. a rank
// of torchrun. Debian 12's headers do not have it yet.
struct PidfdInfo {
  std::uint64_t mask = std::uint64_t{1} << 3;  // PIDFD_INFO_EXIT
  std::uint64_t cgroup = 0;
  std::uint32_t identities[11] = {};
  std::int32_t exit_code = 0;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t info_exit = std::uint64_t{1} << 3;
constexpr unsigned long get_info = _IOWR(0xFF, 11, PidfdInfo);

std::string text_of(int wait_status) {
  if (WIFSIGNALED(wait_status)) return fmt::format("killed by signal {}", WTERMSIG(wait_status));
  return fmt::format("exited with code {}", WEXITSTATUS(wait_status));
}

std::optional<std::string> end_of_child(int process) {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(process), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
    return std::nullopt;
  const char* verb = info.si_code == CLD_EXITED ? "exited with code" : "killed by signal";
  return fmt::format("{} {}", verb, info.si_status);
}

std::optional<std::string> end_of_stranger(int process) {
  PidfdInfo info;
  if (::ioctl(process, get_info, &info) != 0 || (info.mask & info_exit) == 0) return std::nullopt;
  return text_of(info.exit_code);
}

pid_t pid_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? credentials.pid : 0;
}

// A client that does not read its answers must not hold up the thread that serves the others.
void bound_sending(int socket) {
  const timeval limit{5, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

}  // namespace

Peer::Peer(std::uint64_t number, Descriptor socket) : connection(socket.release()) {
  client.number = number;
  client.pid = pid_of(connection.socket());
  bound_sending(connection.socket());
  if (client.pid > 0) process_ = open_process(client.pid);
}

bool Peer::process_ended() const {
  if (!process_) return client.pid > 0 && ::kill(client.pid, 0) != 0 && errno == ESRCH;
  pollfd entry{process_.get(), POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

std::optional<std::string> Peer::how_process_ended() const {
  if (!process_) return std::nullopt;
  if (auto how = end_of_child(process_.get())) return how;
  return end_of_stranger(process_.get());
}

void Peer::hang_up() const {
  ::shutdown(connection.socket(), SHUT_RDWR);
}

}  // namespace samestep
