// The files that a trial takes from outside of the revision: data, environments, build folders. They are shared with
// everybody else, so a trial during which one changes says nothing, and an answer holds as long as they stay.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "kernels/digest.h"

namespace samestep {

class Inputs {
 public:
  // As they are now: what is no file that can be asked about is known as such.
  explicit Inputs(const std::vector<std::filesystem::path>& files);

  // Those that are others since, by path.
  [[nodiscard]] std::vector<std::filesystem::path> changed() const;
  // Of every path with its size and its time of change; not of contents.
  [[nodiscard]] Digest digest() const;

 private:
  struct Identity {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t changed_ns = 0, modified_ns = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  [[nodiscard]] static Identity identity_of(const std::filesystem::path& file);
  std::map<std::filesystem::path, Identity> files_;
};

}  // namespace samestep
