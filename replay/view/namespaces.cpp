#include "replay/view/namespaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "replay/recorder/descriptor.h"
#include "replay/view/mounts.h"
#include "replay/view/view.h"

namespace samestep {
namespace {

// The kernel takes such a file in one write.
bool write_whole(const std::string& file, const std::string& text) {
  const Descriptor out(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  return out && ::write(out.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// /proc/self/uid_map has "first-here first-outside count" a line; here each id is to mean itself.
std::string identity_of_all(const char* own_map) {
  std::ifstream in(own_map);
  std::string text;
  for (std::string line; std::getline(in, line);) {
    std::istringstream numbers(line);
    std::uint64_t here = 0, outside = 0, count = 0;
    if (numbers >> here >> outside >> count) text += fmt::format("{} {} {}\n", here, here, count);
  }
  return text;
}

}  // namespace

bool enter_namespaces(bool network) {
  const int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | (network ? 0 : CLONE_NEWNET);
  if (::unshare(flags) == 0) return false;
  if (errno == EPERM && ::unshare(CLONE_NEWUSER | flags) == 0) return true;
  throw ViewRefused(refusal("making namespaces", errno));
}

int enter_inner_namespaces() {
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : errno;
}

void map_identities(pid_t pid) {
  const std::string folder = fmt::format("/proc/{}/", pid);
  if (!write_whole(folder + "gid_map", identity_of_all("/proc/self/gid_map"))) {
    // Whoever may not map the groups of others may not let go of his own either.
    const std::string own = fmt::format("{0} {0} 1\n", ::getegid());
    if (!write_whole(folder + "setgroups", "deny") || !write_whole(folder + "gid_map", own))
      throw ViewRefused(refusal("mapping its group", errno));
  }
  const std::string own = fmt::format("{0} {0} 1\n", ::geteuid());
  if (!write_whole(folder + "uid_map", identity_of_all("/proc/self/uid_map")) && !write_whole(folder + "uid_map", own))
    throw ViewRefused(refusal("mapping its user", errno));
}

}  // namespace samestep
