#include "replay/recorder/git.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "replay/recorder/pins.h"
#include "replay/recorder/program_output.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_configuration = std::size_t{4} << 20;

// Set whatever the configuration says; git takes the last value of a name, and these come last.
const std::map<std::string, std::string>& fixed_settings() {
  static const std::map<std::string, std::string> settings{
      {"advice.detachedHead", "false"}, {"advice.graftFileDeprecated", "false"}, {"core.alternateRefsCommand", ""},
      {"core.fsmonitor", "false"},      {"core.hooksPath", "/dev/null"},         {"core.pager", "cat"},
      {"core.untrackedCache", "false"}, {"i18n.logOutputEncoding", "UTF-8"},     {"log.showSignature", "false"},
      {"submodule.recurse", "false"}};
  return settings;
}

// A transport could start a program or wait for a network; a replaced object is not the one that its id names.
const std::map<std::string, std::string>& fixed_variables() {
  static const std::map<std::string, std::string> variables{
      {"GIT_ALLOW_PROTOCOL", "none"}, {"GIT_ASKPASS", "false"},        {"GIT_GRAFT_FILE", "/dev/null"},
      {"GIT_NO_LAZY_FETCH", "1"},     {"GIT_NO_REPLACE_OBJECTS", "1"}, {"GIT_OPTIONAL_LOCKS", "0"},
      {"GIT_PAGER", "cat"},           {"GIT_TERMINAL_PROMPT", "0"},    {"LC_ALL", "C.UTF-8"},
      {"SSH_ASKPASS", "false"}};
  return variables;
}

// What git does where nobody set such a name: "" runs nothing; who may sign, and whose key counts no longer, is not for
// the repository to say.
struct Harmful {
  std::string_view section, variable, instead;
};
constexpr std::array harmful{Harmful{"filter", "clean", ""},
                             Harmful{"filter", "smudge", ""},
                             Harmful{"filter", "process", ""},
                             Harmful{"filter", "required", "false"},
                             Harmful{"gpg.x509", "program", "gpgsm"},
                             Harmful{"gpg.ssh", "program", "ssh-keygen"},
                             Harmful{"gpg.ssh", "allowedsignersfile", "/dev/null"},
                             Harmful{"gpg.ssh", "revocationfile", "/dev/null"},
                             Harmful{"gpg", "program", "gpg"}};

// "section.subsection.variable"; a subsection may hold dots.
std::optional<std::string> instead_of(std::string_view key) {
  const std::size_t first = key.find('.'), last = key.rfind('.');
  if (first == std::string_view::npos) return std::nullopt;
  for (const Harmful& known : harmful) {
    const bool section = key.substr(0, first) == known.section || key.substr(0, last) == known.section;
    if (section && key.substr(last + 1) == known.variable) return std::string(known.instead);
  }
  return std::nullopt;
}

std::string_view take_field(std::string_view& text) {
  const std::size_t end = std::min(text.find('\0'), text.size());
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return field;
}

EnvironmentChanges without_gits_variables() {
  EnvironmentChanges changes;
  for (const auto& [name, value] : current_environment())
    if (name.starts_with("GIT_")) changes[name] = std::nullopt;
  for (const auto& [name, value] : fixed_variables()) changes[name] = value;
  return changes;
}

// "filter.NAME.smudge" and "filter.NAME.process": what makes a file's contents of what git keeps.
std::vector<std::string> filters_without_a_program(const std::map<std::string, std::string>& settings) {
  constexpr std::string_view section = "filter.";
  std::vector<std::string> names;
  for (const auto& [key, value] : settings) {
    const std::size_t last = key.rfind('.');
    const bool makes_files = key.ends_with(".smudge") || key.ends_with(".process");
    if (!key.starts_with(section) || !makes_files || last <= section.size() || !value.empty()) continue;
    names.push_back(key.substr(section.size(), last - section.size()));
  }
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::string first_line(const std::string& text) {
  return printable(text.substr(0, text.find('\n')));
}

}  // namespace

std::map<std::string, std::string> harmless_settings(const std::string& listed) {
  std::map<std::string, std::string> settings, outside;
  std::string_view rest = listed;
  while (!rest.empty()) {
    const std::string scope(take_field(rest));
    const std::string_view entry = take_field(rest);
    const std::string key(entry.substr(0, entry.find('\n')));
    const auto instead = instead_of(key);
    if (!instead) continue;
    if (scope == "local" || scope == "worktree")
      settings[key] = outside.contains(key) ? outside[key] : *instead;
    else
      outside[key] = entry.size() > key.size() ? std::string(entry.substr(key.size() + 1)) : "true";
  }
  return settings;
}

void add_settings(EnvironmentChanges& changes, const std::map<std::string, std::string>& settings) {
  const auto known = changes.find("GIT_CONFIG_COUNT");
  std::size_t count = known == changes.end() || !known->second ? 0 : std::stoul(*known->second);
  for (const auto& [name, value] : settings) {
    changes[fmt::format("GIT_CONFIG_KEY_{}", count)] = name;
    changes[fmt::format("GIT_CONFIG_VALUE_{}", count++)] = value;
  }
  changes["GIT_CONFIG_COUNT"] = std::to_string(count);
}

Git::Git(const fs::path& folder, std::chrono::seconds patience)
    : folder_(folder), patience_(patience), environment_(without_gits_variables()) {
  add_settings(environment_, fixed_settings());
  (void)ask(fmt::format("{} is no checkout that git can read", folder.string()), {"rev-parse", "--git-dir"});
  const std::string listed =
      ask("Reading git's configuration", {"config", "--list", "--show-scope", "-z"}, most_configuration);
  const std::map<std::string, std::string> settings = harmless_settings(listed);
  add_settings(environment_, settings);
  filters_left_out_ = filters_without_a_program(settings);
}

Git::Answer Git::try_to(std::vector<std::string> words, std::size_t limit) const {
  SmallProgram program;
  program.argv = {"git", "--no-pager"};
  program.argv.insert(program.argv.end(), words.begin(), words.end());
  program.environment = environment_with(environment_);
  program.cwd = folder_;
  program.patience = patience_;
  program.limit = limit;
  auto end = run_small(program);
  std::error_code error;
  if (!end && !fs::is_directory(folder_, error))
    throw BrokenInput(fmt::format("There is no folder {}.", folder_.string()));
  if (!end) throw BrokenInput("The git program cannot be started: is it installed, and in PATH?");
  if (end->code < 0)
    throw BrokenInput(
        fmt::format("git {} in {} gave no answer within {} s.", words.front(), folder_.string(), patience_.count()));
  return {std::move(end->text), end->cut, end->code, first_line(end->errors)};
}

std::string Git::ask(const std::string& doing, std::vector<std::string> words, std::size_t limit) const {
  Answer answer = try_to(std::move(words), limit);
  if (answer.code != 0) throw BrokenInput(fmt::format("{}: {}", doing, answer.errors));
  if (answer.cut) throw BrokenInput(fmt::format("{}: git answers more than {} bytes.", doing, limit));
  return std::move(answer.text);
}

}  // namespace samestep
