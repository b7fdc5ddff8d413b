// What is wrong with a command line, told before CLI11 sees it: CLI11 names the words that were left over, not the one
// that was misspelt, and takes a negative number for a huge one.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace samestep::cli {

// The verb of that name; null where there is none.
[[nodiscard]] const CLI::App* verb_named(const CLI::App& app, const std::string& name);
// `words`: without the program's name. One sentence; nullopt where nothing is wrong that CLI11 would not tell better.
[[nodiscard]] std::optional<std::string> mistake_in(const CLI::App& app, std::span<const std::string> words);
// The words as CLI11 must see them: where a verb's first positional may be left out and a command follows after --, an
// empty word stands in its place, or the command's first word would be taken for it.
[[nodiscard]] std::vector<std::string> with_places_filled(const CLI::App& app, std::vector<std::string> words);
// True where a verb's answer was asked for as JSON.
[[nodiscard]] bool asks_for_json(std::span<const std::string> words);
// True where git is to read the exit code, also where the words are wrong otherwise.
[[nodiscard]] bool asks_for_git_bisect(std::span<const std::string> words);
inline constexpr const char* git_bisect_flag = "--git-bisect";

}  // namespace samestep::cli
