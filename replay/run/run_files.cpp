#include "replay/run/run_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "replay/run/error.h"

namespace samestep {
namespace {

constexpr std::size_t block = std::size_t{1} << 20;

[[noreturn]] void cannot_read(const std::filesystem::path& file) {
  throw BrokenInput("cannot read " + file.string() + ": " + std::strerror(errno));
}

// Behind "which": of what is no regular file.
std::string what_stands(const std::filesystem::file_status& status) {
  switch (status.type()) {
    case std::filesystem::file_type::not_found:
      return "is missing";
    case std::filesystem::file_type::directory:
      return "is a folder";
    case std::filesystem::file_type::fifo:
      return "is a named pipe, no regular file";
    case std::filesystem::file_type::socket:
      return "is a socket, no regular file";
    case std::filesystem::file_type::block:
    case std::filesystem::file_type::character:
      return "is a device, no regular file";
    default:
      return "is no regular file";
  }
}

}  // namespace

std::filesystem::path run_file(const std::filesystem::path& run, const std::string& relative) {
  const std::string named = run.string() + ": the manifest names the file \"" + relative + "\"";
  const std::filesystem::path inside(relative);
  if (inside.empty() || inside.is_absolute()) throw BrokenInput(named + ", which is no path inside the run");
  std::filesystem::path path = run;
  for (const std::filesystem::path& part : inside) {
    if (part == ".." || part == "." || part.empty()) throw BrokenInput(named + ", which leads out of the run");
    path /= part;
    std::error_code error;
    if (std::filesystem::is_symlink(std::filesystem::symlink_status(path, error))) {
      throw BrokenInput(named + ", which goes through a symbolic link");
    }
  }
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::none)
    throw BrokenInput(named + ", which cannot be looked at: " + error.message());
  if (!std::filesystem::is_regular_file(status)) throw BrokenInput(named + ", which " + what_stands(status));
  return path;
}

std::optional<Digest> file_digest(int descriptor, const std::filesystem::path& file, const std::atomic<bool>& give_up) {
  std::vector<std::byte> buffer(block);
  Hasher hasher;
  while (!give_up) {
    const ssize_t size = ::read(descriptor, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) cannot_read(file);
    if (size == 0) return hasher.finish();
    hasher.update(buffer.data(), static_cast<std::size_t>(size));
  }
  return std::nullopt;
}

std::string text_of_file(const std::filesystem::path& file, std::uintmax_t most) {
  // Without O_NONBLOCK the opening of a pipe waits for a writer.
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) cannot_read(file);
  const std::unique_ptr<const int, void (*)(const int*)> owner(&descriptor, [](const int* open) { ::close(*open); });
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) cannot_read(file);
  if (!S_ISREG(status.st_mode)) throw BrokenInput("cannot read " + file.string() + ": it is no regular file");
  if (static_cast<std::uintmax_t>(status.st_size) > most)
    throw BrokenInput("cannot read " + file.string() + ": it has " + std::to_string(status.st_size) +
                      " bytes, at most " + std::to_string(most) + " are expected");
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t size = ::read(descriptor, text.data() + filled, text.size() - filled);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) cannot_read(file);
    if (size == 0) break;
    filled += static_cast<std::size_t>(size);
  }
  text.resize(filled);
  return text;
}

Digest file_digest(const std::filesystem::path& file) {
  const std::atomic<bool> never = false;
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) cannot_read(file);
  try {
    const Digest result = *file_digest(descriptor, file, never);
    ::close(descriptor);
    return result;
  } catch (...) {
    ::close(descriptor);
    throw;
  }
}

}  // namespace samestep
