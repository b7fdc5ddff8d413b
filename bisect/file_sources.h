// Where the bytes of a file are still to be had that lies changed today: a manifest holds its digest alone.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/digest.h"

namespace samestep {

class FileSources {
 public:
  // `given`: files, and folders that are searched with all that is in them (links are not followed), e.g. another
  // environment, or a package's wheel that was unpacked. Throws BrokenInput where one is not there.
  explicit FileSources(std::vector<std::filesystem::path> given);

  // A regular file of these contents: one of `likely`, else one of the same name among what was given. Nullopt where
  // there is none, or none that can be read.
  [[nodiscard]] std::optional<std::filesystem::path> find(const Digest& digest, const std::string& name,
                                                          const std::vector<std::filesystem::path>& likely);

 private:
  void look_around();
  std::vector<std::filesystem::path> given_;
  std::map<std::string, std::vector<std::filesystem::path>> by_name_;
  bool looked_ = false;
};

}  // namespace samestep
