// Makes every call that the preloaded library stands before, in the folder that its word names, and prints what each
// gave: it must be the same with the library and without.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

namespace {

void say(const char* what, bool good) {
  std::printf("%s %s\n", what, good ? "good" : std::strerror(errno));
}

void close_after(const char* what, int file) {
  say(what, file >= 0);
  if (file >= 0) ::close(file);
}

void close_after(const char* what, FILE* stream) {
  say(what, stream != nullptr);
  if (stream != nullptr) std::fclose(stream);
}

void open_files(int folder) {
  close_after("open", ::open("there", O_RDONLY));
  close_after("open64", ::open64("missing", O_RDONLY));
  close_after("openat", ::openat(folder, "sub/there", O_RDONLY));
  close_after("create", ::open("made", O_WRONLY | O_CREAT | O_EXCL, 0640));
  close_after("create again", ::open("made", O_WRONLY | O_CREAT | O_EXCL, 0640));
  close_after("creat", ::creat("created", 0600));
  close_after("append", std::fopen("there", "a"));
  close_after("fopen", std::fopen("streamed", "w"));
  close_after("fopen read", std::fopen("streamed", "r"));
  close_after("through a link", ::open("link", O_RDWR));
  struct stat info {};
  say("mode", ::stat("made", &info) == 0 && (info.st_mode & 0777) == 0640);
  std::ofstream("from a stream") << "x";
}

void change_entries(int folder) {
  say("rename", std::rename("made", "renamed") == 0);
  say("rename missing", std::rename("missing", "renamed") == 0);
  say("renameat", ::renameat(folder, "created", folder, "sub/moved") == 0);
  say("over another", std::rename("sub/moved", "replaced") == 0);
  say("mkdir", ::mkdir("folder", 0755) == 0);
  say("mkdir again", ::mkdir("folder", 0755) == 0);
  say("rmdir", ::rmdir("folder") == 0);
  say("symlink", ::symlink("there", "second link") == 0);
  say("link", ::link("there", "hard link") == 0);
  say("unlink", ::unlink("removed") == 0);
  say("unlink missing", ::unlink("missing") == 0);
  say("remove", std::remove("second link") == 0);
  say("truncate", ::truncate("truncated", 1) == 0);
}

void mark_files(int folder) {
  const timespec times[2] = {{1, 0}, {2, 3}};
  const timeval older[2] = {{1, 0}, {2, 3}};
  const utimbuf oldest{1, 2};
  const int file = ::open("by descriptor", O_RDONLY);
  say("futimens", ::futimens(file, times) == 0);
  say("fchmod", ::fchmod(file, 0600) == 0);
  say("futimes", ::futimes(file, older) == 0);
  if (file >= 0) ::close(file);
  say("utimensat", ::utimensat(folder, "utimensat", times, 0) == 0);
  say("utimensat missing", ::utimensat(folder, "missing", nullptr, 0) == 0);
  say("utimensat of a link", ::utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW) == 0);
  say("utime", ::utime("utime", &oldest) == 0);
  say("utimes", ::utimes("utimes", older) == 0);
  say("futimesat", ::futimesat(folder, "futimesat", older) == 0);
  say("lutimes", ::lutimes("link", older) == 0);
  say("chmod", ::chmod("chmod", 0600) == 0);
  say("fchmodat", ::fchmodat(folder, "fchmodat", 0600, 0) == 0);
}

void from_threads() {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([] {
      for (int k = 0; k < 200; ++k) {
        const int file = ::open("there", k % 2 == 0 ? O_RDONLY : O_RDWR);
        if (file >= 0) ::close(file);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main(int, char** argv) {
  if (::chdir(argv[1]) != 0) return 1;
  const int folder = ::open(".", O_RDONLY | O_DIRECTORY);
  errno = ERANGE;
  close_after("open", ::open("there", O_RDONLY));
  say("errno is left alone", errno == ERANGE);
  std::printf("next descriptor %d\n", ::dup(folder));
  open_files(folder);
  change_entries(folder);
  mark_files(folder);
  from_threads();
  return 0;
}
