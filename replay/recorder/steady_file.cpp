#include "replay/recorder/steady_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "replay/run/error.h"

namespace samestep {

namespace {

constexpr int steady_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
constexpr std::uint64_t most_at_once = std::uint64_t{1} << 30;

[[noreturn]] void fail(const std::string& what, const char* doing) {
  throw BrokenInput(fmt::format("{}: {}: {}", what, doing, std::strerror(errno)));
}

// The size, once what it is and how large it may be are checked.
std::uint64_t checked_size(int file, std::uint64_t limit, const std::string& what) {
  struct stat info {};
  if (::fstat(file, &info) != 0) fail(what, "the file that came with it cannot be used");
  if (!S_ISREG(info.st_mode)) throw BrokenInput(what + ": what came with it is no regular file");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > limit)
    throw BrokenInput(fmt::format("{}: the file that came with it has {} bytes, allowed are {}", what, size, limit));
  return size;
}

bool seal(int file) {
  static_cast<void>(::fcntl(file, F_ADD_SEALS, steady_seals));
  const int seals = ::fcntl(file, F_GET_SEALS);
  return seals >= 0 && (seals & steady_seals) == steady_seals;
}

Descriptor copy_of(int file, std::uint64_t size, const std::string& what) {
  Descriptor copy(::memfd_create("samestep-copy", MFD_CLOEXEC));
  if (!copy) fail(what, "no memory for a copy of it");
  off_t offset = 0;
  while (static_cast<std::uint64_t>(offset) < size) {
    const std::uint64_t left = size - static_cast<std::uint64_t>(offset);
    const ssize_t copied = ::sendfile(copy.get(), file, &offset, std::min(left, most_at_once));
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0) fail(what, "it cannot be copied");
    if (copied == 0) throw BrokenInput(what + ": the file that came with it became shorter while it was read");
  }
  return copy;
}

}  // namespace

Descriptor steady_file(const Descriptor& file, std::uint64_t limit, const std::string& what) {
  const std::uint64_t size = checked_size(file.get(), limit, what);
  if (!seal(file.get())) return copy_of(file.get(), size, what);
  checked_size(file.get(), limit, what);  // again: it could still grow before it was sealed
  Descriptor same(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
  if (!same) fail(what, "no descriptor is left");
  return same;
}

}  // namespace samestep
