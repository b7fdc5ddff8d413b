// The calls that open, make, rename and remove files, and set their times and modes: each is told of and done by the
// next library behind this one, the C library as a rule. Nothing a program can see is changed, but the time.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#include <atomic>

#include "replay/files/teller.h"

#define SAMESTEP_CALL extern "C" __attribute__((visibility("default")))

namespace {

using namespace samestep::files;

// The function of a name behind this library, looked up when it is first called.
void* next(std::atomic<void*>& known, const char* name) {
  void* found = known.load(std::memory_order_relaxed);
  if (found != nullptr) return found;
  const KeepErrno kept;
  found = dlsym(RTLD_NEXT, name);
  known.store(found, std::memory_order_relaxed);
  return found;
}

void tell_refusal(int folder, const char* path) {
  if (errno == EROFS) tell(Kind::refused, folder, path);
}

bool has_failed(int number) {
  return number < 0;
}
bool has_failed(const FILE* stream) {
  return stream == nullptr;
}

// A file that is opened with `flags`, or with those that a stream's mode stands for. The call gives a negative number
// or a null pointer where it fails.
template <class Call>
auto open_with(int folder, const char* path, int flags, Call call) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_TRUNC | O_CREAT)) != 0;
  const bool is_file = path != nullptr && (flags & (O_DIRECTORY | O_PATH)) == 0 && (flags & O_TMPFILE) != O_TMPFILE;
  if (wish() == Wish::nothing || !is_file) return call();
  const bool was_there = writes && is_there(folder, path, true);
  if (was_there && (flags & O_EXCL) == 0) tell(Kind::will_write, folder, path);
  auto result = call();
  if (has_failed(result))
    tell_refusal(folder, path);
  else if (!writes)
    tell(Kind::read, folder, path);
  else if (!was_there)
    tell(Kind::opened_anew, folder, path);
  return result;
}

// The mode of fopen(3) as flags of open(2).
int flags_of(const char* mode) {
  if (mode == nullptr) return O_RDONLY;
  const int access = strchr(mode, '+') != nullptr ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
  const int exclusive = strchr(mode, 'x') != nullptr ? O_EXCL : 0;
  if (mode[0] == 'w') return access | O_CREAT | O_TRUNC | exclusive;
  return mode[0] == 'a' ? access | O_CREAT | exclusive : access;
}

// An entry of a folder that is removed.
template <class Call>
int remove_with(int folder, const char* path, Call call) {
  if (wish() == Wish::nothing || path == nullptr) return call();
  tell(Kind::will_replace, folder, path);
  const int result = call();
  if (result == 0)
    tell(Kind::gone, folder, path);
  else
    tell_refusal(folder, path);
  return result;
}

// An entry of a folder that is made where none was.
template <class Call>
int make_with(int folder, const char* path, Call call) {
  const int result = call();
  if (wish() == Wish::nothing || path == nullptr) return result;
  if (result == 0)
    tell(Kind::made, folder, path);
  else
    tell_refusal(folder, path);
  return result;
}

template <class Call>
int rename_with(int from_folder, const char* from, int to_folder, const char* to, Call call) {
  if (wish() == Wish::nothing || from == nullptr || to == nullptr) return call();
  tell(Kind::will_replace, from_folder, from);
  if (is_there(to_folder, to, false)) tell(Kind::will_replace, to_folder, to);
  const int result = call();
  if (result == 0) {
    tell(Kind::gone, from_folder, from);
    tell(Kind::made, to_folder, to);
  } else {
    tell_refusal(to_folder, to);
  }
  return result;
}

// The times or the mode of a file are set, by its path or, where that is null, by the descriptor `folder`: both decide
// what a program does next (make, and whatever else compares times).
template <class Call>
int mark_with(int folder, const char* path, bool follow, Call call) {
  if (wish() == Wish::nothing) return call();
  if (path == nullptr || is_there(folder, path, follow))
    tell(follow ? Kind::will_write : Kind::will_replace, folder, path);
  const int result = call();
  if (result != 0) tell_refusal(folder, path);
  return result;
}

// The mode is read where the C library reads it: with O_CREAT and O_TMPFILE alone it is there.
#define SAMESTEP_MODE(flags, mode)                                  \
  mode_t mode = 0;                                                  \
  if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) { \
    va_list arguments;                                              \
    va_start(arguments, flags);                                     \
    mode = static_cast<mode_t>(va_arg(arguments, int));             \
    va_end(arguments);                                              \
  }

#define SAMESTEP_NEXT(name)                 \
  static std::atomic<void*> known{nullptr}; \
  const auto call = reinterpret_cast<decltype(&::name)>(next(known, #name))

}  // namespace

SAMESTEP_CALL int open(const char* path, int flags, ...) {
  SAMESTEP_NEXT(open);
  SAMESTEP_MODE(flags, mode)
  return open_with(AT_FDCWD, path, flags, [&] { return call(path, flags, mode); });
}

SAMESTEP_CALL int open64(const char* path, int flags, ...) {
  SAMESTEP_NEXT(open64);
  SAMESTEP_MODE(flags, mode)
  return open_with(AT_FDCWD, path, flags, [&] { return call(path, flags, mode); });
}

SAMESTEP_CALL int openat(int folder, const char* path, int flags, ...) {
  SAMESTEP_NEXT(openat);
  SAMESTEP_MODE(flags, mode)
  return open_with(folder, path, flags, [&] { return call(folder, path, flags, mode); });
}

SAMESTEP_CALL int openat64(int folder, const char* path, int flags, ...) {
  SAMESTEP_NEXT(openat64);
  SAMESTEP_MODE(flags, mode)
  return open_with(folder, path, flags, [&] { return call(folder, path, flags, mode); });
}

SAMESTEP_CALL int creat(const char* path, mode_t mode) {
  SAMESTEP_NEXT(creat);
  return open_with(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, [&] { return call(path, mode); });
}

SAMESTEP_CALL int creat64(const char* path, mode_t mode) {
  SAMESTEP_NEXT(creat64);
  return open_with(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, [&] { return call(path, mode); });
}

// What code compiled with _FORTIFY_SOURCE calls where it gives no mode.
extern "C" int __open_2(const char* path, int flags);
extern "C" int __open64_2(const char* path, int flags);
extern "C" int __openat_2(int folder, const char* path, int flags);
extern "C" int __openat64_2(int folder, const char* path, int flags);

SAMESTEP_CALL int __open_2(const char* path, int flags) {
  SAMESTEP_NEXT(__open_2);
  return open_with(AT_FDCWD, path, flags, [&] { return call(path, flags); });
}

SAMESTEP_CALL int __open64_2(const char* path, int flags) {
  SAMESTEP_NEXT(__open64_2);
  return open_with(AT_FDCWD, path, flags, [&] { return call(path, flags); });
}

SAMESTEP_CALL int __openat_2(int folder, const char* path, int flags) {
  SAMESTEP_NEXT(__openat_2);
  return open_with(folder, path, flags, [&] { return call(folder, path, flags); });
}

SAMESTEP_CALL int __openat64_2(int folder, const char* path, int flags) {
  SAMESTEP_NEXT(__openat64_2);
  return open_with(folder, path, flags, [&] { return call(folder, path, flags); });
}

SAMESTEP_CALL FILE* fopen(const char* path, const char* mode) {
  SAMESTEP_NEXT(fopen);
  return open_with(AT_FDCWD, path, flags_of(mode), [&] { return call(path, mode); });
}

SAMESTEP_CALL FILE* fopen64(const char* path, const char* mode) {
  SAMESTEP_NEXT(fopen64);
  return open_with(AT_FDCWD, path, flags_of(mode), [&] { return call(path, mode); });
}

SAMESTEP_CALL FILE* freopen(const char* path, const char* mode, FILE* stream) {
  SAMESTEP_NEXT(freopen);
  return open_with(AT_FDCWD, path, flags_of(mode), [&] { return call(path, mode, stream); });
}

SAMESTEP_CALL FILE* freopen64(const char* path, const char* mode, FILE* stream) {
  SAMESTEP_NEXT(freopen64);
  return open_with(AT_FDCWD, path, flags_of(mode), [&] { return call(path, mode, stream); });
}

SAMESTEP_CALL int truncate(const char* path, off_t length) noexcept {
  SAMESTEP_NEXT(truncate);
  return open_with(AT_FDCWD, path, O_WRONLY, [&] { return call(path, length); });
}

SAMESTEP_CALL int truncate64(const char* path, off64_t length) noexcept {
  SAMESTEP_NEXT(truncate64);
  return open_with(AT_FDCWD, path, O_WRONLY, [&] { return call(path, length); });
}

SAMESTEP_CALL int unlink(const char* path) noexcept {
  SAMESTEP_NEXT(unlink);
  return remove_with(AT_FDCWD, path, [&] { return call(path); });
}

SAMESTEP_CALL int unlinkat(int folder, const char* path, int flags) noexcept {
  SAMESTEP_NEXT(unlinkat);
  return remove_with(folder, path, [&] { return call(folder, path, flags); });
}

SAMESTEP_CALL int rmdir(const char* path) noexcept {
  SAMESTEP_NEXT(rmdir);
  return remove_with(AT_FDCWD, path, [&] { return call(path); });
}

SAMESTEP_CALL int remove(const char* path) noexcept {
  SAMESTEP_NEXT(remove);
  return remove_with(AT_FDCWD, path, [&] { return call(path); });
}

SAMESTEP_CALL int mkdir(const char* path, mode_t mode) noexcept {
  SAMESTEP_NEXT(mkdir);
  return make_with(AT_FDCWD, path, [&] { return call(path, mode); });
}

SAMESTEP_CALL int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  SAMESTEP_NEXT(mkdirat);
  return make_with(folder, path, [&] { return call(folder, path, mode); });
}

SAMESTEP_CALL int symlink(const char* target, const char* path) noexcept {
  SAMESTEP_NEXT(symlink);
  return make_with(AT_FDCWD, path, [&] { return call(target, path); });
}

SAMESTEP_CALL int symlinkat(const char* target, int folder, const char* path) noexcept {
  SAMESTEP_NEXT(symlinkat);
  return make_with(folder, path, [&] { return call(target, folder, path); });
}

SAMESTEP_CALL int link(const char* from, const char* to) noexcept {
  SAMESTEP_NEXT(link);
  return make_with(AT_FDCWD, to, [&] { return call(from, to); });
}

SAMESTEP_CALL int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  SAMESTEP_NEXT(linkat);
  return make_with(to_folder, to, [&] { return call(from_folder, from, to_folder, to, flags); });
}

SAMESTEP_CALL int rename(const char* from, const char* to) noexcept {
  SAMESTEP_NEXT(rename);
  return rename_with(AT_FDCWD, from, AT_FDCWD, to, [&] { return call(from, to); });
}

SAMESTEP_CALL int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  SAMESTEP_NEXT(renameat);
  return rename_with(from_folder, from, to_folder, to, [&] { return call(from_folder, from, to_folder, to); });
}

SAMESTEP_CALL int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  SAMESTEP_NEXT(renameat2);
  return rename_with(from_folder, from, to_folder, to, [&] { return call(from_folder, from, to_folder, to, flags); });
}

SAMESTEP_CALL int utimensat(int folder, const char* path, const timespec times[2], int flags) noexcept {
  SAMESTEP_NEXT(utimensat);
  const bool follow = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  return mark_with(folder, path, follow, [&] { return call(folder, path, times, flags); });
}

SAMESTEP_CALL int futimens(int file, const timespec times[2]) noexcept {
  SAMESTEP_NEXT(futimens);
  return mark_with(file, nullptr, true, [&] { return call(file, times); });
}

SAMESTEP_CALL int utime(const char* path, const utimbuf* times) noexcept {
  SAMESTEP_NEXT(utime);
  return mark_with(AT_FDCWD, path, true, [&] { return call(path, times); });
}

SAMESTEP_CALL int utimes(const char* path, const timeval times[2]) noexcept {
  SAMESTEP_NEXT(utimes);
  return mark_with(AT_FDCWD, path, true, [&] { return call(path, times); });
}

SAMESTEP_CALL int lutimes(const char* path, const timeval times[2]) noexcept {
  SAMESTEP_NEXT(lutimes);
  return mark_with(AT_FDCWD, path, false, [&] { return call(path, times); });
}

SAMESTEP_CALL int futimes(int file, const timeval times[2]) noexcept {
  SAMESTEP_NEXT(futimes);
  return mark_with(file, nullptr, true, [&] { return call(file, times); });
}

SAMESTEP_CALL int futimesat(int folder, const char* path, const timeval times[2]) noexcept {
  SAMESTEP_NEXT(futimesat);
  return mark_with(folder, path, true, [&] { return call(folder, path, times); });
}

SAMESTEP_CALL int chmod(const char* path, mode_t mode) noexcept {
  SAMESTEP_NEXT(chmod);
  return mark_with(AT_FDCWD, path, true, [&] { return call(path, mode); });
}

SAMESTEP_CALL int fchmod(int file, mode_t mode) noexcept {
  SAMESTEP_NEXT(fchmod);
  return mark_with(file, nullptr, true, [&] { return call(file, mode); });
}

SAMESTEP_CALL int fchmodat(int folder, const char* path, mode_t mode, int flags) noexcept {
  SAMESTEP_NEXT(fchmodat);
  const bool follow = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  return mark_with(folder, path, follow, [&] { return call(folder, path, mode, flags); });
}
