// Installed Python distributions, as their own metadata describes them: name, version, and the SHA-256 that RECORD
// states of each file. Their folders are named by the program that is recorded, and their files lie wherever it likes:
// all is bounded, and what is broken is left out.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/digest.h"

namespace samestep {

struct InstalledFile {
  std::string name;  // in RECORD
  Digest sha256;     // that RECORD states
};

struct Distribution {
  std::string name, version;
  bool has_record = false;                     // false: what it installed is not known (Debian's packages)
  std::map<std::string, InstalledFile> files;  // by absolute path
};

// Those whose *.dist-info or *.egg-info lies in `folder`, by name. Never throws for what the folder holds; empty where
// it cannot be read.
[[nodiscard]] std::vector<Distribution> distributions_in(const std::filesystem::path& folder);

// One line of RECORD; nullopt where it states no SHA-256 (RECORD itself, *.pyc) or makes no sense.
[[nodiscard]] std::optional<InstalledFile> parse_record_line(std::string_view line);

}  // namespace samestep
