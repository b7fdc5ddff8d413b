// Where what a command writes in a view lies meanwhile: a private folder on a disk, never inside a folder that the view
// lays over, gone with the view. A trial without a view has its checkout in such a folder.
#pragma once

#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "replay/recorder/descriptor.h"

namespace samestep {

class ViewStorage {
 public:
  enum class Use : unsigned char { upper_layers, plain_files };
  // In the first of $XDG_CACHE_HOME/samestep/views, ~/.cache/samestep/views, /var/tmp and $TMPDIR that lies in none of
  // `folders` and on a file system that can hold what it is for. Removes what was left there by a process that was
  // killed. Throws ViewRefused that says what is wrong with each place.
  explicit ViewStorage(const std::vector<std::filesystem::path>& folders, Use use = Use::upper_layers);
  ~ViewStorage();
  ViewStorage(const ViewStorage&) = delete;
  ViewStorage& operator=(const ViewStorage&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Whoever holds it open keeps the storage from being taken for one that was left behind.
  [[nodiscard]] int lock() const { return lock_.get(); }

 private:
  std::filesystem::path path_;
  Descriptor lock_;
};

// True where the disk that `path` lies on has no room left, or no place for another file: what a program wrote there
// may have failed. False where it cannot be asked.
[[nodiscard]] bool is_full(const std::filesystem::path& path);
// True for a path that only a storage has.
[[nodiscard]] bool is_storage(const std::filesystem::path& path);
// Removes the storages in `place` that no process holds and that were made more than a minute before `now`: those of
// views whose maker was killed.
void remove_left_behind(const std::filesystem::path& place, std::time_t now);
// Removes a storage that its maker is known to have locked, where no process holds it any more, however young it is.
void remove_if_left_behind(const std::filesystem::path& storage);
// Removes a tree whatever its permissions say, without following links; what cannot be removed stays.
void remove_tree(const std::filesystem::path& folder);

}  // namespace samestep
