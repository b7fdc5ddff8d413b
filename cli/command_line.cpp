#include "cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <vector>

namespace samestep::cli {
namespace {

bool is_option(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && std::isdigit(static_cast<unsigned char>(word[1])) == 0;
}

bool is_negative(const std::string& text) {
  return text.size() > 1 && text[0] == '-' && std::isdigit(static_cast<unsigned char>(text[1])) != 0;
}

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string names_of(const std::vector<const CLI::App*>& verbs) {
  std::vector<std::string> names;
  for (const CLI::App* verb : verbs)
    if (!verb->get_group().empty()) names.push_back(verb->get_name());  // without: for the program itself
  return fmt::format("{}", fmt::join(names, ", "));
}

// "--name", "--name=value", "-n", "-nvalue".
struct Written {
  std::string name;
  std::optional<std::string> value;
};

Written as_written(const std::string& word) {
  if (!word.starts_with("--") && word.size() > 2) return {word.substr(0, 2), word.substr(2)};
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos) return {word, std::nullopt};
  return {word.substr(0, equals), word.substr(equals + 1)};
}

std::optional<std::string> mistake_in_option(const CLI::App& verb, const std::string& word, const std::string& next) {
  const auto [name, value] = as_written(word);
  const CLI::Option* option = verb.get_option_no_throw(name);
  if (option == nullptr) {
    const bool runs_a_command = verb.get_option_no_throw("COMMAND") != nullptr;
    return fmt::format("{} has no option {}{}", verb.get_name(), word.substr(0, word.find('=')),
                       runs_a_command ? "; the program to run, with options of its own, goes after --" : "");
  }
  if (option->get_expected_min() > 0 && is_negative(value.value_or(next)))
    return fmt::format("{} takes a number from 0 on, not {}", name, value.value_or(next));
  return std::nullopt;
}

// How many of the words after it an option takes; all that come where it takes any number.
int most_values_of(const CLI::App& verb, const std::string& word) {
  const auto [name, value] = as_written(word);
  const CLI::Option* option = verb.get_option_no_throw(name);
  if (option == nullptr || value) return 0;
  const bool many = option->get_expected_max() > 1;
  return many && !option->get_allow_extra_args() ? 1 : option->get_expected_max();
}

}  // namespace

const CLI::App* verb_named(const CLI::App& app, const std::string& name) {
  for (const CLI::App* verb : verbs_of(app))
    if (verb->get_name() == name) return verb;
  return nullptr;
}

bool asks_for_json(std::span<const std::string> words) {
  const auto end = std::ranges::find(words, "--");
  return !words.empty() && words[0] != "record" && std::find(words.begin(), end, "--json") != end;
}

bool asks_for_git_bisect(std::span<const std::string> words) {
  const auto end = std::ranges::find(words, "--");
  return std::any_of(words.begin(), end,
                     [](const std::string& word) { return word.substr(0, word.find('=')) == git_bisect_flag; });
}

std::vector<std::string> with_places_filled(const CLI::App& app, std::vector<std::string> words) {
  const CLI::App* verb = words.empty() ? nullptr : verb_named(app, words[0]);
  const CLI::Option* run = verb == nullptr ? nullptr : verb->get_option_no_throw("RUN");
  const auto dashes = std::ranges::find(words, "--");
  if (run == nullptr || run->get_required() || dashes == words.end()) return words;
  for (auto word = words.begin() + 1; word < dashes;) {
    if (!is_option(*word)) return words;
    int more = most_values_of(*verb, *word);
    for (++word; word < dashes && more > 0 && !is_option(*word); --more) ++word;
  }
  words.insert(words.begin() + 1, "");  // at the end, an option that takes several values would take it
  return words;
}

std::optional<std::string> mistake_in(const CLI::App& app, std::span<const std::string> words) {
  if (words.empty()) return std::nullopt;
  if (is_option(words[0])) {
    if (app.get_option_no_throw(words[0]) != nullptr) return std::nullopt;
    return fmt::format("there is no option {}", words[0]);
  }
  const CLI::App* verb = verb_named(app, words[0]);
  if (verb == nullptr) return fmt::format("there is no verb '{}': {}", words[0], names_of(verbs_of(app)));
  for (std::size_t i = 1; i < words.size() && words[i] != "--"; ++i) {
    if (!is_option(words[i])) continue;
    const std::string next = i + 1 < words.size() ? words[i + 1] : "";
    if (auto mistake = mistake_in_option(*verb, words[i], next)) return mistake;
  }
  return std::nullopt;
}

}  // namespace samestep::cli
