// Small files that a process leaves for a later one of the same user: answers that are kept, and what a bisect and its
// workers tell each other.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace samestep {

// nullopt where there is none. Throws BrokenInput that names the file for what is no plain file, has more than `most`
// bytes, belongs to another user, or may be written by others: it is not believed.
[[nodiscard]] std::optional<std::string> private_text(const std::filesystem::path& file, std::size_t most);

// Atomic: a reader finds all of it or what was there before. "", or why it could not be written.
[[nodiscard]] std::string write_private(const std::filesystem::path& file, const std::string& text);

}  // namespace samestep
