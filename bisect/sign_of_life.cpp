#include "bisect/sign_of_life.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bisect/private_file.h"
#include "replay/recorder/quiet_thread.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds interval{10};
constexpr std::chrono::minutes patience{2};  // of workers; a file server may be slow to tell
constexpr std::size_t most_bytes = 4096;

std::string this_machine_name() {
  utsname system{};
  ::uname(&system);
  return static_cast<const char*>(system.nodename);
}

Descriptor locked(const fs::path& file, int flags) {
  Descriptor lock(::open(file.c_str(), flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) lock.reset();
  return lock;
}

}  // namespace

SignOfLife::SignOfLife(fs::path folder) : folder_(std::move(folder)), lock_(locked(folder_ / "lock", O_CREAT)) {
  if (!lock_) throw BrokenInput(fmt::format("Locking {}: {}.", (folder_ / "lock").string(), std::strerror(errno)));
  write(0);
  writer_ = quiet_thread([this] { repeat(); });
}

SignOfLife::~SignOfLife() {
  {
    const std::lock_guard guard(mutex_);
    ended_ = true;
  }
  ends_.notify_all();
  writer_.join();
}

Tie SignOfLife::tie() const {
  return {0, folder_ / "alive", patience};
}

// "COUNT PROCESS MACHINE"
void SignOfLife::write(std::uint64_t count) const {
  const std::string why =
      write_private(folder_ / "alive", fmt::format("{} {} {}\n", count, ::getpid(), this_machine_name()));
  if (!why.empty() && count == 0)
    throw BrokenInput(fmt::format("Writing {} failed: {}.", (folder_ / "alive").string(), why));
}

void SignOfLife::repeat() {
  std::unique_lock guard(mutex_);
  for (std::uint64_t count = 1; !ends_.wait_for(guard, interval, [this] { return ended_; }); ++count) write(count);
}

bool has_died(const fs::path& sign_of_life) {
  try {
    const auto text = private_text(sign_of_life, most_bytes);
    if (!text || !text->ends_with(" " + this_machine_name() + "\n")) return false;
    return static_cast<bool>(locked(sign_of_life.parent_path() / "lock", 0));
  } catch (const BrokenInput&) {
    return false;
  }
}

}  // namespace samestep
