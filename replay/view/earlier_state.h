// Folders as somebody found them earlier: what came to be since is hidden in a view, what was changed or removed stands
// in its old place.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "replay/recorder/descriptor.h"

namespace samestep {

struct EarlierFile {
  enum class Type : unsigned char { file, link, folder } type = Type::file;
  std::filesystem::path at;
  std::shared_ptr<const Descriptor> contents;  // of a file: open for reading
  std::uint64_t size = 0;                      // of a file
  std::int64_t mtime_ns = 0;
  std::uint32_t mode = 0;  // permission bits
  std::string target;      // of a link
  bool must = false;       // nothing may start without it
};

struct EarlierState {
  std::vector<std::filesystem::path> hidden;  // with all that is in them; entries themselves, not what links lead to
  std::vector<EarlierFile> files;
};

// A regular file of `info` that has the size and the time of `file`.
[[nodiscard]] bool is_unchanged(const EarlierFile& file, const struct stat& info);

// Makes it so, by removing and writing files like any program, in `folders` alone, links resolved; what cannot be done
// is left, but of a file that `must` be it throws BrokenInput. REQUIRES to be called inside of a view that lays
// `folders` over.
void put_back(const EarlierState& state, const std::vector<std::filesystem::path>& folders);

}  // namespace samestep
