// Files of a run as its manifest names them.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "kernels/digest.h"

namespace samestep {

// The path of `relative` in `run`. Throws BrokenInput for names that lead out of the run (absolute, "..") or through a
// symbolic link, and for what is not there or no regular file.
[[nodiscard]] std::filesystem::path run_file(const std::filesystem::path& run, const std::string& relative);

// The bytes of a regular file of at most `most` bytes. Throws BrokenInput that names it where it is anything else (a pipe,
// a device, a symbolic link: reading might never end) or larger.
[[nodiscard]] std::string text_of_file(const std::filesystem::path& file, std::uintmax_t most);

// The BLAKE3 of a whole file. Throws BrokenInput where it cannot be read.
[[nodiscard]] Digest file_digest(const std::filesystem::path& file);
// Of an open file from where it stands to its end; nullopt where `give_up` became true before. Throws BrokenInput that
// names `file` where it cannot be read.
[[nodiscard]] std::optional<Digest> file_digest(int descriptor, const std::filesystem::path& file,
                                                const std::atomic<bool>& give_up);

}  // namespace samestep
