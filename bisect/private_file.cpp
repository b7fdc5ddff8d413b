#include "bisect/private_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "replay/recorder/descriptor.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& why) {
  throw BrokenInput(fmt::format("{}: {}", file.string(), why));
}

}  // namespace

std::optional<std::string> private_text(const std::filesystem::path& file, std::size_t most) {
  const Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!in && errno == ENOENT) return std::nullopt;
  if (!in) refuse(file, std::strerror(errno));
  struct stat info {};
  if (::fstat(in.get(), &info) != 0 || !S_ISREG(info.st_mode)) refuse(file, "it is no file");
  if (info.st_uid != ::geteuid()) refuse(file, "it belongs to another user");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) refuse(file, "others may write to it");
  if (static_cast<std::size_t>(info.st_size) > most) refuse(file, fmt::format("it is larger than {} bytes", most));
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  if (::pread(in.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    refuse(file, "it cannot be read");
  return text;
}

std::string write_private(const std::filesystem::path& file, const std::string& text) {
  std::string temporary = file.string() + ".XXXXXX";
  const Descriptor out(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!out) return std::strerror(errno);
  const bool written = ::write(out.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(out.get()) == 0 && ::rename(temporary.c_str(), file.c_str()) == 0;
  if (written) return "";
  std::string why = std::strerror(errno);
  ::unlink(temporary.c_str());
  return why;
}

}  // namespace samestep
