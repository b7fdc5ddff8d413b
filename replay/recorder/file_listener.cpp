#include "replay/recorder/file_listener.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "replay/recorder/quiet_thread.h"
#include "replay/run/error.h"
#include "replay/run/own_library.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr int backlog = 1024;
constexpr const char* preload_variable = "LD_PRELOAD";
// AddressSanitizer wants to be the first library of a program; with another before it, it ends the program.
constexpr const char* sanitizer_variable = "ASAN_OPTIONS";
constexpr const char* sanitizer_option = "verify_asan_link_order=0";

Descriptor listen_in(const fs::path& folder) {
  Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (folder / files::socket_name).string();
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const bool listens = socket && path.size() < sizeof address.sun_path &&
                       ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                       ::listen(socket.get(), backlog) == 0;
  if (!listens) throw BrokenInput(fmt::format("Listening for files at {}: {}.", path, std::strerror(errno)));
  return socket;
}

// A program that connects and tells nothing holds up the others no longer than this.
void set_patience(int socket) {
  const timeval patience{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

pid_t pid_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? credentials.pid : 0;
}

bool is_kind(char byte) {
  return std::string_view("hrwdongf").find(byte) != std::string_view::npos;
}

bool is_path(std::string_view text) {
  return !text.empty() && text.front() == '/' && text.find('\0') == std::string_view::npos;
}

}  // namespace

FileListener::FileListener(const fs::path& folder, FileSink& sink)
    : sink_(sink), listener_(listen_in(folder)), waker_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = quiet_thread([this] { run(); });
}

FileListener::~FileListener() {
  finish();
}

void FileListener::finish() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(waker_.get(), &one, sizeof one);
  thread_.join();
  listener_.reset();
}

void FileListener::run() {
  while (!stopping_) {
    std::array<pollfd, 2> entries{pollfd{listener_.get(), POLLIN, 0}, pollfd{waker_.get(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), -1);
    take_all();
  }
  take_all();
}

void FileListener::take_all() {
  for (;;) {
    const Descriptor connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) return;
    take(connection);
  }
}

void FileListener::take(const Descriptor& connection) {
  set_patience(connection.get());
  std::array<char, 1 + files::most_path_bytes> bytes{};
  const ssize_t got = ::recv(connection.get(), bytes.data(), bytes.size(), 0);
  if (got < 2 || !is_kind(bytes[0])) return;
  const auto kind = static_cast<files::Kind>(bytes[0]);
  const std::string_view path(bytes.data() + 1, static_cast<std::size_t>(got) - 1);
  if (!is_path(path)) return;
  char answer = 1;
  try {
    if (kind == files::Kind::hello)
      answer = static_cast<char>(sink_.on_process(pid_of(connection.get()), path));
    else
      sink_.on_notice(kind, path);
  } catch (const std::exception&) {  // one file that is not kept; the program goes on
  }
  if (files::is_answered(kind)) ::send(connection.get(), &answer, 1, MSG_NOSIGNAL);
}

std::optional<fs::path> preload_library() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return std::nullopt;
  const fs::path prefix = program.parent_path().parent_path();
  for (const fs::path& folder : {prefix / "lib", prefix / "lib/samestep", prefix / "lib64/samestep",
                                 prefix / "replay/files", prefix.parent_path() / "replay/files"}) {
    // A space or a colon would end its name in LD_PRELOAD.
    const fs::path library = folder / files_library;
    if (fs::is_regular_file(library, error) && library.native().find_first_of(" :") == std::string::npos)
      return library;
  }
  return std::nullopt;
}

EnvironmentChanges preload_changes(const fs::path& library, const Environment& environment) {
  const auto joined = [&](const char* name, const std::string& first) {
    const auto found = environment.find(name);
    return found == environment.end() || found->second.empty() ? first : first + ":" + found->second;
  };
  return {{preload_variable, joined(preload_variable, library.string())},
          {sanitizer_variable, joined(sanitizer_variable, sanitizer_option)}};
}

}  // namespace samestep
