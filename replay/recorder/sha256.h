// The digest that Python's packages state of their files. Everything of samestep's own is BLAKE3.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>

#include "kernels/digest.h"

namespace samestep {

// SHA-256 of an open file from where it stands to its end; nullopt where `give_up` became true before. Throws
// BrokenInput that names `file` where it cannot be read.
[[nodiscard]] std::optional<Digest> file_sha256(int descriptor, const std::filesystem::path& file,
                                                const std::atomic<bool>& give_up);

}  // namespace samestep
