// The mounts of a view, made from inside its new mount namespace by its first process.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace samestep {

// A folder to be laid over. One that need not be, and cannot, or is a file (`upper` is empty), is shown read-only.
struct Layer {
  std::filesystem::path at;
  std::filesystem::path upper, work;  // empty folders side by side on one disk
  bool need_not_be = false;
  std::vector<std::filesystem::path> settled = {};  // upper layers of earlier views of it, the latest first
};

struct MountPlan {
  std::vector<Layer> layers;            // outer ones first
  std::filesystem::path socket_folder;  // stays reachable and writable; empty: none
  bool network = false;                 // the namespace has the machine's; else its loopback is raised
};

// Lays over, mounts /proc and a private /dev/shm, makes all else read-only. Throws ViewRefused that says which step was
// refused; the namespace is of no use then. REQUIRES new mount and PID namespaces, to be the first process of the
// latter, and the capability to mount.
void mount_view(const MountPlan& plan);

// "Making the view: laying over /home/me/project: Permission denied (...)": the text of a ViewRefused.
[[nodiscard]] std::string refusal(const std::string& step, int error);

}  // namespace samestep
