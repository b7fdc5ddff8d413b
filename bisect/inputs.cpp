#include "bisect/inputs.h"

#include <sys/stat.h>

#include "replay/run/bytes.h"

namespace samestep {
namespace {

std::int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

}  // namespace

Inputs::Identity Inputs::identity_of(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size), nanoseconds(info.st_ctim),
          nanoseconds(info.st_mtim)};
}

Inputs::Inputs(const std::vector<std::filesystem::path>& files) {
  for (const auto& file : files) files_[file] = identity_of(file);
}

std::vector<std::filesystem::path> Inputs::changed() const {
  std::vector<std::filesystem::path> found;
  for (const auto& [file, identity] : files_)
    if (identity_of(file) != identity) found.push_back(file);
  return found;
}

Digest Inputs::digest() const {
  ByteWriter bytes;
  for (const auto& [file, identity] : files_) {
    bytes.u64(file.native().size()).text(file.native());
    bytes.u64(identity.size).i64(identity.modified_ns);
  }
  return samestep::digest(std::string_view(reinterpret_cast<const char*>(bytes.bytes().data()), bytes.bytes().size()));
}

}  // namespace samestep
