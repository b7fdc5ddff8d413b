#include "replay/view/mounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "replay/recorder/descriptor.h"
#include "replay/view/places.h"
#include "replay/view/view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

// linux/mount.h and sys/mount.h cannot be included together.
struct MountAttributes {
  std::uint64_t set = 0, clear = 0, propagation = 0, user_namespace = 0;
};
constexpr std::uint64_t read_only = 1;
constexpr unsigned clone_tree = 1;
constexpr unsigned from_descriptor = 4;
constexpr unsigned recursive = 0x8000;
constexpr const char* shared_memory = "/dev/shm";

[[noreturn]] void refuse(const std::string& step, int error) {
  throw ViewRefused(refusal(step, error));
}

std::string at(const char* doing, const fs::path& path) {
  return fmt::format("{} {}", doing, path.string());
}

Descriptor open_place(const fs::path& path) {
  Descriptor place(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!place) refuse(at("opening", path), errno);
  return place;
}

// The mounts at and beneath `path` as they are now, to be put back where something covers them.
Descriptor tree_at(const fs::path& path) {
  const long tree = ::syscall(SYS_open_tree, AT_FDCWD, path.c_str(), clone_tree | recursive | unsigned{O_CLOEXEC});
  return Descriptor(static_cast<int>(tree));
}

bool put_at(const Descriptor& tree, const fs::path& path) {
  return ::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, path.c_str(), from_descriptor) == 0;
}

bool set_read_only(const fs::path& path, bool on, bool with_all_beneath = false) {
  MountAttributes attributes;
  (on ? attributes.set : attributes.clear) = read_only;
  return ::syscall(SYS_mount_setattr, AT_FDCWD, path.c_str(), with_all_beneath ? recursive : 0U, &attributes,
                   sizeof attributes) == 0;
}

std::string by_descriptor(const Descriptor& place) {
  return fmt::format("/proc/self/fd/{}", place.get());
}

// A layer with everything of it opened before the first is mounted: mounting one hides what lies beneath.
class OpenLayer {
 public:
  explicit OpenLayer(const Layer& layer) : layer_(layer), lower_(open_place(layer.at)) {
    if (layer.need_not_be) as_it_is_ = tree_at(layer.at);
    if (layer.upper.empty()) return;
    upper_ = open_place(layer.upper);
    work_ = open_place(layer.work);
    for (const fs::path& earlier : layer.settled) settled_.push_back(open_place(earlier));
  }

  void mount() {
    if (in_shared_memory()) fs::create_directories(layer_.at);
    laid_over_ = upper_ && mount_overlay();
    if (laid_over_) return;
    const int error = errno;
    if (!layer_.need_not_be) refuse_to_lay_over(error);
    if (!as_it_is_ || !put_at(as_it_is_, layer_.at)) refuse(at("showing", layer_.at), errno);
  }
  void make_writable() const {
    if (laid_over_ && !set_read_only(layer_.at, false)) refuse(at("opening for writing", layer_.at), errno);
  }

 private:
  [[nodiscard]] bool in_shared_memory() const { return is_in(layer_.at, shared_memory); }
  // By descriptors: paths may have commas and colons. Without syncs: the layer is thrown away.
  [[nodiscard]] bool mount_overlay() const {
    std::string lower;
    for (const Descriptor& earlier : settled_) lower += by_descriptor(earlier) + ":";
    const std::string options = fmt::format("userxattr,volatile,lowerdir={}{},upperdir={},workdir={}", lower,
                                            by_descriptor(lower_), by_descriptor(upper_), by_descriptor(work_));
    return ::mount("overlay", layer_.at.c_str(), "overlay", 0, options.c_str()) == 0;
  }
  [[noreturn]] void refuse_to_lay_over(int error) const {
    const std::vector<Mount> inner = beneath(layer_.at, mounts_here());
    if (error != EINVAL || inner.empty()) refuse(at("laying over", layer_.at), error);
    refuse(fmt::format("laying over {}, in which {} is mounted (the kernel lets root alone do this)",
                       layer_.at.string(), inner.front().at.string()),
           error);
  }

  const Layer& layer_;
  Descriptor lower_, upper_, work_, as_it_is_;
  std::vector<Descriptor> settled_;
  bool laid_over_ = false;
};

void keep_mounts_to_ourselves() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) refuse("keeping its mounts private", errno);
}

void mount_shared_memory() {
  std::error_code error;
  if (!fs::is_directory(shared_memory, error)) return;
  if (::mount("tmpfs", shared_memory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0)
    refuse("mounting a private /dev/shm", errno);
}

// Of these the kernel asks no capability but the owner's number, which is root's own in a view that root made: what is
// written there acts on the whole machine. Each becomes a mount, which is read-only with all the rest.
void set_the_machine_apart() {
  for (const char* place :
       {"/proc/acpi", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/scsi", "/proc/sys", "/proc/sysrq-trigger"}) {
    const Descriptor tree = tree_at(place);
    if (!tree && errno == ENOENT) continue;
    if (!tree || !put_at(tree, place)) refuse(at("setting apart", place), errno);
  }
}

void mount_proc() {
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    refuse("mounting a /proc of its own", errno);
  set_the_machine_apart();
}

void raise_loopback() {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
  if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return;  // a kernel without IPv4: there is none
  request.ifr_flags |= IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) refuse("raising the loopback network", errno);
}

// Devices can be written to as before: a read-only mount only keeps them from being made and removed.
void make_all_else_read_only(const MountPlan& plan, const std::vector<OpenLayer>& layers) {
  if (!set_read_only("/", true, true)) refuse("making the rest read-only", errno);
  for (const OpenLayer& layer : layers) layer.make_writable();
  static_cast<void>(set_read_only(shared_memory, false));
  static_cast<void>(set_read_only("/proc", false));
  if (!plan.socket_folder.empty() && !set_read_only(plan.socket_folder, false))
    refuse("opening the recorder's socket", errno);
}

const char* advice(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return " (namespaces are forbidden to ordinary users here, or by the container this runs in)";
    case ENOSPC:
      return " (user.max_user_namespaces allows no more)";
    case ENOSYS:
    case EINVAL:
      return " (a view needs Linux 5.12 or newer)";
    default:
      return "";
  }
}

}  // namespace

std::string refusal(const std::string& step, int error) {
  return fmt::format(
      "This machine refuses the replay a view of its own: {}: {}{}. Without one the program runs in the folder itself, "
      "and what it writes stays: --in-place",
      step, std::strerror(error), advice(error));
}

void mount_view(const MountPlan& plan) {
  keep_mounts_to_ourselves();
  std::vector<OpenLayer> layers;
  layers.reserve(plan.layers.size());
  for (const Layer& layer : plan.layers) layers.emplace_back(layer);
  Descriptor socket;
  if (!plan.socket_folder.empty() && !(socket = tree_at(plan.socket_folder)))
    refuse("reaching the recorder's socket", errno);
  mount_shared_memory();
  for (OpenLayer& layer : layers) layer.mount();
  if (socket) {
    if (is_in(plan.socket_folder, shared_memory)) fs::create_directories(plan.socket_folder);
    if (!put_at(socket, plan.socket_folder)) refuse("reaching the recorder's socket", errno);
  }
  mount_proc();
  make_all_else_read_only(plan, layers);
  if (!plan.network) raise_loopback();
}

}  // namespace samestep
