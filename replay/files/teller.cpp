#include "replay/files/teller.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>

namespace samestep::files {
namespace {

constexpr const char* recorder_variable = "SAMESTEP_SOCKET";
constexpr time_t patience_seconds = 60;  // for a copy of what is about to be overwritten

sockaddr_un recorder{};  // written once, before anybody reads it
std::size_t folder_length = 0;
std::atomic<Wish> wished{Wish::nothing};

// --- Paths, absolute, without memory ----------------------------------------------------------------------------

struct Path {
  char text[most_path_bytes];
  std::size_t length = 0;
  bool whole = true;

  void add(const char* more) {
    while (*more != '\0' && length + 1 < sizeof text) text[length++] = *more++;
    whole = whole && *more == '\0';
    text[length] = '\0';
  }
  [[nodiscard]] bool begins_with(const char* prefix) const { return strncmp(text, prefix, strlen(prefix)) == 0; }
  [[nodiscard]] bool has(const char* part) const { return strstr(text, part) != nullptr; }
};

void add_number(Path& path, int number) {
  char digits[12];
  std::size_t at = sizeof digits;
  digits[--at] = '\0';
  do {
    digits[--at] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0 && at > 0);
  path.add(digits + at);
}

// The folder itself, or whatever file the descriptor stands for, goes to `path`; false where nobody knows it.
bool add_folder(Path& path, int folder) {
  if (folder == AT_FDCWD) {
    const long length = syscall(SYS_getcwd, path.text, sizeof path.text);
    if (length <= 1 || path.text[0] != '/') return false;
    path.length = static_cast<std::size_t>(length) - 1;
    return true;
  }
  Path link;
  link.text[0] = '\0';
  link.add("/proc/self/fd/");
  add_number(link, folder);
  const ssize_t length = readlink(link.text, path.text, sizeof path.text - 1);
  if (length <= 0 || path.text[0] != '/') return false;
  path.length = static_cast<std::size_t>(length);
  path.text[path.length] = '\0';
  return true;
}

bool make_absolute(Path& path, int folder, const char* given) {
  path.text[0] = '\0';
  if (given == nullptr) return folder != AT_FDCWD && add_folder(path, folder);
  if (given[0] != '/') {
    if (!add_folder(path, folder)) return false;
    path.add("/");
  }
  path.add(given);
  return path.whole;
}

// --- What is left out -------------------------------------------------------------------------------------------

bool is_of_the_system(const Path& path) {
  for (const char* prefix : {"/proc/", "/sys/", "/dev/"})
    if (path.begins_with(prefix) && !path.begins_with("/dev/shm/")) return true;
  return strncmp(path.text, recorder.sun_path, folder_length) == 0 || path.has("/__pycache__/");
}

// Programs, libraries, packages: the manifest knows those by other ways.
bool is_of_a_package(const Path& path) {
  for (const char* prefix : {"/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/etc/", "/run/", "/opt/conda/"})
    if (path.begins_with(prefix)) return true;
  for (const char* part : {"/site-packages/", "/dist-packages/", "/lib/python3"})
    if (path.has(part)) return true;
  return false;
}

bool is_left_out(Kind kind, const Path& path) {
  return is_of_the_system(path) || (kind == Kind::read && is_of_a_package(path));
}

// --- What was told already --------------------------------------------------------------------------------------

constexpr std::size_t slots = 1 << 15;
constexpr std::size_t most_told = slots / 2;
std::atomic<std::uint64_t> told[slots];
std::atomic<std::size_t> told_count{0};

std::uint64_t hash_of(Kind kind, const Path& path) {
  std::uint64_t hash = 14695981039346656037ULL ^ static_cast<std::uint64_t>(kind);
  for (std::size_t i = 0; i < path.length; ++i)
    hash = (hash ^ static_cast<unsigned char>(path.text[i])) * 1099511628211ULL;
  return hash == 0 ? 1 : hash;
}

// True once for each; when the table is full, for reads never any more, for the others always.
bool is_news(Kind kind, const Path& path) {
  const std::uint64_t hash = hash_of(kind, path);
  for (std::size_t i = hash % slots;; i = (i + 1) % slots) {
    std::uint64_t there = told[i].load(std::memory_order_relaxed);
    if (there == hash) return false;
    if (there != 0) continue;
    if (told_count.load(std::memory_order_relaxed) >= most_told) return kind != Kind::read;
    if (told[i].compare_exchange_strong(there, hash, std::memory_order_relaxed)) break;
    if (there == hash) return false;
  }
  told_count.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// What comes and goes is told each time: its order decides.
bool is_repeated(Kind kind) {
  return kind == Kind::opened_anew || kind == Kind::made || kind == Kind::gone || kind == Kind::will_replace;
}

// --- The socket -------------------------------------------------------------------------------------------------

void set_patience(int socket) {
  const timeval patience{patience_seconds, 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

// The answer; 0 where there is none.
char send_notice(Kind kind, const Path& path) {
  const int socket_number = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (socket_number < 0) return 0;
  set_patience(socket_number);
  char answer = 0;
  if (connect(socket_number, reinterpret_cast<const sockaddr*>(&recorder), sizeof recorder) == 0) {
    iovec parts[2] = {{&kind, 1}, {const_cast<char*>(path.text), path.length}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const bool sent = sendmsg(socket_number, &message, MSG_NOSIGNAL) > 0;
    if (sent && is_answered(kind) && recv(socket_number, &answer, 1, 0) != 1) answer = 0;
  }
  close(socket_number);
  return answer;
}

// Where the recorder listens: "files" beside its socket. False where there is none.
bool find_recorder() {
  const char* socket_path = getenv(recorder_variable);
  const char* slash = socket_path == nullptr ? nullptr : strrchr(socket_path, '/');
  if (slash == nullptr) return false;
  folder_length = static_cast<std::size_t>(slash - socket_path) + 1;
  if (folder_length + strlen(socket_name) >= sizeof recorder.sun_path) return false;
  recorder.sun_family = AF_UNIX;
  memcpy(recorder.sun_path, socket_path, folder_length);
  memcpy(recorder.sun_path + folder_length, socket_name, strlen(socket_name));
  return true;
}

__attribute__((constructor)) void begin() {
  const KeepErrno kept;
  if (!find_recorder()) return;
  Path program;
  const ssize_t length = readlink("/proc/self/exe", program.text, sizeof program.text - 1);
  if (length <= 0) return;
  program.length = static_cast<std::size_t>(length);
  switch (static_cast<Wish>(send_notice(Kind::hello, program))) {
    case Wish::all:
      wished = Wish::all;
      break;
    case Wish::refusals:
      wished = Wish::refusals;
      break;
    case Wish::nothing:
      break;
  }
}

}  // namespace

Wish wish() {
  return wished.load(std::memory_order_relaxed);
}

void tell(Kind kind, int folder, const char* path) {
  const KeepErrno kept;
  if (wish() == Wish::nothing || (wish() == Wish::refusals && kind != Kind::refused)) return;
  Path absolute;
  if ((path != nullptr && path[0] == '\0') || !make_absolute(absolute, folder, path)) return;
  if (is_left_out(kind, absolute)) return;
  if (is_repeated(kind) || is_news(kind, absolute)) send_notice(kind, absolute);
}

bool is_there(int folder, const char* path, bool follow) {
  const KeepErrno kept;
  struct stat info;
  return fstatat(folder, path, &info, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0;
}

}  // namespace samestep::files
