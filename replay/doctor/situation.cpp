#include "replay/doctor/situation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

namespace samestep {
namespace {

namespace fs = std::filesystem;

bool write_text(const char* file, const std::string& text) {
  const int descriptor = ::open(file, O_WRONLY | O_CLOEXEC);
  const bool written =
      descriptor >= 0 && ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (descriptor >= 0) ::close(descriptor);
  return written;
}

// What a view needs, tried in a child that ends at once: a user namespace (root needs none), a mount namespace, an
// overlay in it. The exit code says how far it came.
enum class Reached : int { overlay = 0, nothing = 1, user_namespace = 2, mount_namespace = 3 };

Reached try_view(const std::string& folder) {
  const std::string own_id = fmt::format("{0} {0} 1", ::geteuid());
  if (::geteuid() != 0) {
    if (::unshare(CLONE_NEWUSER) != 0) return Reached::nothing;
    if (!write_text("/proc/self/uid_map", own_id)) return Reached::nothing;
  }
  if (::unshare(CLONE_NEWNS) != 0) return Reached::user_namespace;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Reached::user_namespace;
  const std::string options = fmt::format("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work{1}", folder,
                                          ::geteuid() == 0 ? "" : ",userxattr");
  const std::string place = folder + "/place";
  const bool mounted = ::mount("overlay", place.c_str(), "overlay", 0, options.c_str()) == 0;
  return mounted ? Reached::overlay : Reached::mount_namespace;
}

std::string views_refusal() {
  std::string folder = (fs::temp_directory_path() / "samestep-doctor-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return "";  // the disk is judged elsewhere
  for (const char* name : {"lower", "upper", "work", "place"}) fs::create_directory(fs::path(folder) / name);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(static_cast<int>(try_view(folder)));
  int status = 0;
  if (child > 0) ::waitpid(child, &status, 0);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  switch (WIFEXITED(status) ? static_cast<Reached>(WEXITSTATUS(status)) : Reached::nothing) {
    case Reached::overlay:
      return "";
    case Reached::mount_namespace:
      return "no overlay can be mounted";
    case Reached::user_namespace:
      return "no mount namespace can be made";
    default:
      return "no user namespace can be made";
  }
}

std::uint64_t number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t number = 0;
  in >> number;
  return in ? number : 0;
}

void look_at_disk(const fs::path& cwd, Situation& situation) {
  constexpr long nfs_magic = 0x6969;
  struct statfs info {};
  const fs::path runs = cwd / "samestep-runs";
  if (::statfs(runs.c_str(), &info) != 0 && ::statfs(cwd.c_str(), &info) != 0) return;
  situation.runs_on_nfs = info.f_type == nfs_magic;
  situation.free_bytes = static_cast<std::uint64_t>(info.f_bavail) * static_cast<std::uint64_t>(info.f_bsize);
}

}  // namespace

void count_memory_errors(const fs::path& devices, Situation& situation) {
  std::error_code error;
  for (fs::directory_iterator entry(devices, error), end; !error && entry != end; entry.increment(error)) {
    situation.memory_errors_corrected += number_in(entry->path() / "ce_count");
    situation.memory_errors_uncorrected += number_in(entry->path() / "ue_count");
  }
}

Situation look(std::span<const std::string> argv, const fs::path& cwd) {
  Situation situation;
  situation.environment = current_environment();
  situation.machine = this_machine();
  situation.views_refused = views_refusal();
  look_at_disk(cwd, situation);
  count_memory_errors("/sys/devices/system/edac/mc", situation);
  situation.python = look_at_python(python_of(argv), cwd);
  return situation;
}

}  // namespace samestep
