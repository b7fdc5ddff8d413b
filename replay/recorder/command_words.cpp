#include "replay/recorder/command_words.h"

#include <algorithm>
#include <array>
#include <filesystem>

namespace samestep {
namespace {

std::string file_name(const std::string& word) {
  return std::filesystem::path(word).filename();
}

// The options of Python that take the next word.
bool takes_a_word(const std::string& option) {
  constexpr std::array options{"-W", "-X", "--check-hash-based-pycs"};
  return std::ranges::find(options, option) != options.end();
}

// Empty where Python is given none: `-c CODE`, standard input.
std::string script_of(std::span<const std::string> words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "-m") return i + 1 < words.size() ? words[i + 1] : "";
    if (word == "-c" || word == "-") return "";
    if (!word.starts_with('-')) return file_name(word);
    if (takes_a_word(word)) ++i;
  }
  return "";
}

// Of letters that stand together; behind c, m, W and X comes a word of theirs.
bool is_against_hooks(const std::string& option) {
  if (option.size() < 2 || option[1] == '-') return false;
  const std::string letters = option.substr(1, option.find_first_of("cmWX") - 1);
  return letters.find_first_of("IES") != std::string::npos;
}

std::string option_of_python_against_hooks(std::span<const std::string> words) {
  for (std::size_t i = 0; i < words.size() && words[i].starts_with('-'); ++i) {
    if (is_against_hooks(words[i])) return words[i];
    if (words[i] == "-c" || words[i] == "-m") break;
    if (takes_a_word(words[i])) ++i;
  }
  return "";
}

}  // namespace

bool is_python(const std::string& word) {
  const std::string name = file_name(word);
  return name.starts_with("python") && name.find_first_not_of("0123456789.", 6) == std::string::npos;
}

std::string option_against_hooks(std::span<const std::string> argv) {
  const auto python = std::ranges::find_if(argv, is_python);
  if (python == argv.end()) return "";
  return option_of_python_against_hooks(argv.subspan(static_cast<std::size_t>(python - argv.begin()) + 1));
}

std::string program_name(std::span<const std::string> argv) {
  if (argv.empty()) return "";
  const std::string script = is_python(argv.front()) ? script_of(argv.subspan(1)) : "";
  return script.empty() ? file_name(argv.front()) : script;
}

}  // namespace samestep
