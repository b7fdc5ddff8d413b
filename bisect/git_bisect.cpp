#include "bisect/git_bisect.h"

#include <fmt/format.h>

#include <set>

#include "replay/player/sessions.h"
#include "replay/run/error.h"
#include "replay/run/run_reader.h"
#include "replay/view/places.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

std::string text_in(const nlohmann::json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}

// Of files that the recording made or changed.
std::set<fs::path> written_paths(const nlohmann::json& session) {
  std::set<fs::path> paths;
  if (!session.is_object() || !session.contains("writes") || !session["writes"].is_object()) return paths;
  for (const char* kind : {"made", "changed"}) {
    const nlohmann::json entries = session["writes"].value(kind, nlohmann::json());
    if (!entries.is_array()) continue;
    for (const auto& entry : entries)
      if (std::string path = text_in(entry, "path"); !path.empty()) paths.insert(std::move(path));
  }
  return paths;
}

// What git has checked out is the revision; a replay would lay the recording's own files over it.
std::vector<fs::path> tracked_among(const Repository& repository, const std::set<fs::path>& written) {
  std::vector<fs::path> found;
  if (written.empty()) return found;
  for (const std::string& file : repository.tracked("HEAD"))
    if (written.contains(repository.root() / file)) found.push_back(repository.root() / file);
  return found;
}

void need_recorded_window(const RunReader& recording, const ReplayOptions& options) {
  const std::uint64_t first = recording.first_step(), end = recording.end_step();
  if (first == end) throw BrokenInput(fmt::format("{}: it holds no step of this rank", options.run.string()));
  const std::uint64_t from = options.from.value_or(first), to = options.to.value_or(end);
  if (from >= to)
    throw BrokenInput(
        fmt::format("--from {} and --to {} ask for no step: --to is one past the last step of the window", from, to));
  if (from >= first && to <= end) return;
  throw BrokenInput(
      fmt::format("steps {} to {} were asked for, and {} holds {} to {}: no revision could answer for the others", from,
                  to - 1, options.run.string(), first, end - 1));
}

}  // namespace

fs::path folder_in_checkout(const Repository& repository, const nlohmann::json& session) {
  const fs::path cwd = text_in(session, "cwd");
  const fs::path top = text_in(session.is_object() ? session.value("revision", nlohmann::json()) : session, "top");
  if (cwd.empty()) return repository.root();
  if (top.empty() || !is_in(cwd, top)) return cwd;
  return (repository.root() / cwd.lexically_relative(top)).lexically_normal();
}

void replay_in_checkout(ReplayOptions& options) {
  const Repository repository(fs::current_path());
  const RunReader recording(options.run, options.rank);
  need_recorded_window(recording, options);
  const nlohmann::json& session = session_at(recording, options.from.value_or(recording.first_step()));
  if (!options.cwd) options.cwd = folder_in_checkout(repository, session);
  options.another_revision = true;
  for (fs::path& file : tracked_among(repository, written_paths(session))) options.show.push_back(std::move(file));
}

int git_bisect_code(int exit_code) {
  constexpr int flaky_or_incomparable = 3, signals = 128;
  if (exit_code == 0 || exit_code == 1 || exit_code > signals) return exit_code;
  return exit_code == exit_untestable || exit_code == flaky_or_incomparable ? exit_untestable : exit_ends_git_bisect;
}

}  // namespace samestep
