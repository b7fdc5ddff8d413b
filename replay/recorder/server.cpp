#include "replay/recorder/server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "replay/recorder/dispatch.h"
#include "replay/recorder/quiet_thread.h"
#include "replay/run/error.h"

namespace samestep {

namespace {

constexpr int backlog = 128;

[[noreturn]] void cannot(const std::string& doing) {
  throw BrokenInput(fmt::format("Opening the recorder's socket: {} ({}).", doing, std::strerror(errno)));
}

// A new folder of mode 0700. Its path must be short: a socket's address holds 107 bytes.
std::string private_folder() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const char* temporary = std::getenv("TMPDIR");
  for (const char* parent : {runtime, temporary, "/tmp", "/dev/shm"}) {
    if (parent == nullptr || parent[0] != '/' || std::strlen(parent) > 64) continue;
    std::string folder = std::string(parent) + "/samestep-XXXXXX";
    if (::mkdtemp(folder.data()) != nullptr) return folder;
  }
  cannot("neither XDG_RUNTIME_DIR, TMPDIR, /tmp nor /dev/shm takes a new folder");
}

Descriptor listen_at(const std::string& path) {
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) cannot("no Unix socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    cannot("binding to " + path);
  if (::listen(socket.get(), backlog) != 0) cannot("listening on " + path);
  return socket;
}

// The socket's place in the file system; removed with it.
struct SocketFolder {
  SocketFolder() : folder(private_folder()), path(folder + "/socket") {}
  ~SocketFolder() {
    std::error_code ignored;  // Python processes number themselves by empty files beside the socket
    std::filesystem::remove_all(folder, ignored);
  }
  std::string folder, path;
};

}  // namespace

struct Server::State {
  State(Sink& sink, const ServerLimits& limits)
      : inbox(limits.queue_frames, limits.queue_bytes),
        drain(listen_at(place.path), inbox, limits),
        dispatch(sink, inbox, drain, limits),
        draining(quiet_thread([this] { drain.run(); })),
        dispatching(quiet_thread([this] { dispatch.run(); })) {}

  SocketFolder place;
  Inbox inbox;
  Drain drain;
  Dispatch dispatch;
  std::thread draining, dispatching;
};

Server::Server(Sink& sink, ServerLimits limits) : state_(std::make_unique<State>(sink, limits)) {}

Server::~Server() {
  finish();
}

const std::string& Server::socket_path() const {
  return state_->place.path;
}

std::size_t Server::live_clients() const {
  return state_->drain.live_clients();
}

void Server::finish() {
  if (!state_->draining.joinable()) return;
  state_->drain.stop();
  state_->draining.join();
  state_->dispatching.join();
}

std::vector<std::string> Server::failures() const {
  std::vector<std::string> said = state_->dispatch.failures();
  if (const std::uint64_t count = state_->drain.turned_away(); count > 0)
    said.push_back(fmt::format(
        "Connections turned away, for the recorder has too few file descriptors (ulimit -n): {}. Those processes train "
        "on unrecorded.",
        count));
  return said;
}

}  // namespace samestep
