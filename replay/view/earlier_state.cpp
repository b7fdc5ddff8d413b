#include "replay/view/earlier_state.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "replay/run/error.h"
#include "replay/view/places.h"
#include "replay/view/storage.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

bool copy(int from, int to, std::uint64_t size) {
  if (::ioctl(to, FICLONE, from) == 0) return true;
  std::vector<char> block(std::size_t{1} << 20);
  for (std::uint64_t at = 0; at < size;) {
    const ssize_t got =
        ::pread(from, block.data(), std::min<std::uint64_t>(size - at, block.size()), static_cast<off_t>(at));
    if (got <= 0 || ::write(to, block.data(), static_cast<std::size_t>(got)) != got) return false;
    at += static_cast<std::uint64_t>(got);
  }
  return true;
}

void set_time(int file, std::int64_t mtime_ns) {
  const timespec time{mtime_ns / 1'000'000'000, mtime_ns % 1'000'000'000};
  const std::array<timespec, 2> times{time, time};
  static_cast<void>(::futimens(file, times.data()));
}

bool write_file(const EarlierFile& file) {
  const Descriptor to(::open(file.at.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to || !file.contents || !copy(file.contents->get(), to.get(), file.size)) return false;
  static_cast<void>(::fchmod(to.get(), file.mode & 0777));
  set_time(to.get(), file.mtime_ns);
  return true;
}

// Put back by its user, or never touched.
bool is_there_already(const EarlierFile& file) {
  struct stat info {};
  return file.type == EarlierFile::Type::file && ::lstat(file.at.c_str(), &info) == 0 && is_unchanged(file, info) &&
         (info.st_mode & 0777) == (file.mode & 0777);
}

bool put_back(const EarlierFile& file) {
  if (is_there_already(file)) return true;
  std::error_code error;
  fs::create_directories(file.type == EarlierFile::Type::folder ? file.at : file.at.parent_path(), error);
  if (file.type == EarlierFile::Type::folder) return !error;
  remove_tree(file.at);
  if (file.type == EarlierFile::Type::file) return write_file(file);
  fs::create_symlink(file.target, file.at, error);
  return !error;
}

[[noreturn]] void refuse(const EarlierFile& file, const char* why) {
  throw BrokenInput("Putting other contents at " + file.at.string() + " in the view: " + why);
}

// The entry itself, wherever the folder's links lead; a folder that is not there is made in the one that is.
bool lies_in(const fs::path& path, const std::vector<fs::path>& folders) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path.parent_path(), error) / path.filename();
  return !error &&
         std::ranges::any_of(folders, [&](const fs::path& folder) { return real != folder && is_in(real, folder); });
}

}  // namespace

bool is_unchanged(const EarlierFile& file, const struct stat& info) {
  return S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) == file.size &&
         info.st_mtim.tv_sec * std::int64_t{1'000'000'000} + info.st_mtim.tv_nsec == file.mtime_ns;
}

void put_back(const EarlierState& state, const std::vector<fs::path>& folders) {
  for (const fs::path& path : state.hidden)
    if (lies_in(path, folders)) remove_tree(path);
  for (const EarlierFile& file : state.files) {
    const bool inside = lies_in(file.at, folders);
    if (!inside && file.must) refuse(file, "it lies in no folder that the view lays over");
    if (inside && !put_back(file) && file.must) refuse(file, std::strerror(errno));
  }
}

}  // namespace samestep
