#include "replay/player/command.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "replay/recorder/provenance.h"
#include "replay/run/error.h"
#include "replay/run/format.h"

namespace samestep {
namespace {

// Nobody where it cannot be asked.
std::optional<uid_t> owner_of(const std::filesystem::path& run) {
  struct stat status {};
  if (::stat((run / "manifest.json").c_str(), &status) != 0) return std::nullopt;
  return status.st_uid;
}

// The manifest names the program to start, so it must be the caller's own word.
void refuse_another_users(const ReplayOptions& options) {
  if (is_own_run(options.run)) return;
  throw BrokenInput(
      fmt::format("{} belongs to another user (uid {}), so its recorded command is not run. Give the "
                  "command yourself: samestep replay {} -- COMMAND",
                  options.run.string(), *owner_of(options.run), options.run.string()));
}

std::vector<std::string> choose_command(const nlohmann::json& recorded, const ReplayOptions& options) {
  if (!options.command.empty()) return options.command;
  refuse_another_users(options);
  std::vector<std::string> words = recorded_command(recorded);
  if (words.empty()) throw BrokenInput("The run holds no command. Give one: samestep replay RUN -- COMMAND");
  // What no JSON can hold was replaced when the command was written down.
  if (std::ranges::any_of(words,
                          [](const std::string& word) { return word.find("\xef\xbf\xbd") != std::string::npos; }))
    throw BrokenInput(
        "The recorded command had bytes that are no UTF-8. Give it yourself: samestep replay RUN -- COMMAND");
  return words;
}

std::filesystem::path choose_folder(const nlohmann::json& recorded, const ReplayOptions& options) {
  if (options.cwd) return *options.cwd;
  if (!recorded.is_object() || !recorded.contains("cwd") || !recorded["cwd"].is_string()) return {};
  std::filesystem::path folder = recorded["cwd"].get<std::string>();
  if (!std::filesystem::is_directory(folder)) {
    throw BrokenInput(fmt::format("The recorded folder {} is not there. Choose one with --cwd DIR.", folder.string()));
  }
  return folder;
}

// Only words of letters that no shell gives a meaning go as they are.
std::string quoted(const std::string& word) {
  const std::string plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string text = "'";
  for (char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

void override_pins(Command& command, const std::map<std::string, std::string>& set) {
  for (const auto& [name, value] : set) {
    if (!is_pin(name)) {
      throw BrokenInput(
          fmt::format("--set {}: not a variable that decides bits. Put other variables before the "
                      "command: samestep replay RUN -- env {}={} COMMAND",
                      name, name, value));
    }
    const auto pin =
        std::find_if(command.pins.begin(), command.pins.end(), [&name = name](const Pin& p) { return p.name == name; });
    if (pin == command.pins.end()) {
      command.pins.push_back({name, value, "user", ""});
    } else {
      command.remarks.push_back(fmt::format("{}={} instead of {}", name, value, pin->value.value_or("(unset)")));
      pin->value = value;
    }
  }
}

// As a shell would find it in another PATH than ours.
std::string found_in(const std::string& path, const std::string& program) {
  if (program.find('/') != std::string::npos) return program;
  std::istringstream folders(path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::filesystem::path candidate = std::filesystem::path(folder.empty() ? "." : folder) / program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return program;
}

void exchange_variables(Command& command, const EnvironmentChanges& changes) {
  if (const auto path = changes.find("PATH"); path != changes.end() && path->second)
    command.launch.argv.front() = found_in(*path->second, command.launch.argv.front());
  for (const auto& [name, value] : changes) {
    command.launch.environment[name] = value;
    const auto pin = std::ranges::find(command.pins, name, &Pin::name);
    if (pin != command.pins.end()) pin->value = value;
  }
}

// A program that asked for its recorder itself had perhaps trained before, and been recorded before.
void begin_where_recorded(Command& command, const nlohmann::json& recorded) {
  if (!recorded.is_object() || !recorded.contains("settings") || !recorded["settings"].is_object()) return;
  const auto ordinal = recorded["settings"].value("attached", nlohmann::json());
  if (!ordinal.is_number_integer() || ordinal < 1) return;
  command.launch.environment[format::attached_variable] = std::to_string(ordinal.get<int>());
  command.remarks.emplace_back("the recording began at the program's samestep.record(): so does this");
}

// What came through it is no part of a run. Nothing is said of a terminal or of no input: a replay needs nothing for
// it.
void tell_of_standard_input(Command& command, const nlohmann::json& recorded) {
  const auto input = recorded.is_object() ? recorded.value("standard_input", nlohmann::json()) : nlohmann::json();
  if (!input.is_object() || input == describe_standard_input()) return;
  const auto text = [&](const char* key) {
    return input.contains(key) && input[key].is_string() ? input[key].get<std::string>() : std::string();
  };
  const std::string kind = text("kind");
  if (kind == "file")
    command.remarks.push_back(
        fmt::format("the recording's standard input was the file {}: if the program reads it, give "
                    "the same again: < {}",
                    text("path"), quoted(text("path"))));
  else if (kind == "pipe" || kind == "socket")
    command.remarks.push_back(
        fmt::format("the recording's standard input was a {}, and a run does not keep what came "
                    "through it: if the program reads it, give the same again",
                    kind));
}

}  // namespace

bool is_own_run(const std::filesystem::path& run) {
  const auto owner = owner_of(run);
  return !owner || *owner == ::geteuid();
}

std::vector<std::string> recorded_command(const nlohmann::json& recorded) {
  std::vector<std::string> words;
  const auto argv = recorded.is_object() && recorded.contains("argv") ? recorded["argv"] : nlohmann::json();
  if (!argv.is_array()) return words;
  for (const auto& word : argv) {
    if (word.is_string()) words.push_back(word.get<std::string>());
  }
  return words;
}

Command command_for(const nlohmann::json& recorded, const ReplayOptions& options) {
  Command command;
  command.launch.argv = choose_command(recorded, options);
  command.launch.cwd = choose_folder(recorded, options);
  command.pins = pins_from_manifest(recorded);
  override_pins(command, options.set);
  command.launch.environment = changes_for(command.pins, current_environment());
  exchange_variables(command, options.environment);
  begin_where_recorded(command, recorded);
  tell_of_standard_input(command, recorded);
  command.seeds = seeds_from_manifest(recorded);
  if (!options.command.empty() && options.command != recorded_command(recorded)) {
    command.gives_seeds = false;
    command.remarks.push_back(fmt::format("recorded was: {}", shell_words(recorded_command(recorded))));
  }
  return command;
}

std::string shell_words(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + quoted(word);
  return line;
}

}  // namespace samestep
