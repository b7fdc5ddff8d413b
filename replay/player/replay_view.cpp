#include "replay/player/replay_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "replay/player/recorded_files.h"
#include "replay/run/error.h"
#include "replay/view/refused_writes.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

std::string sentence_of(const View& view, const ReplayOptions& options) {
  std::vector<std::string> folders;
  for (const fs::path& folder : view.folders()) folders.push_back(folder.string());
  return fmt::format("in a view: what it writes to {} {}; all else is read-only, {}", fmt::join(folders, " and "),
                     options.keep_output ? fmt::format("goes to {}", options.keep_output->string())
                                         : "is thrown away at its end (--keep-output DIR)",
                     options.network ? "the network is the machine's" : "there is no network (--network)");
}

std::string files_of(std::size_t count, const char* what) {
  return fmt::format("{} file{} that the recording {}", count, count == 1 ? "" : "s", what);
}

std::string before_sentence(const EarlierState& before) {
  std::vector<std::string> parts;
  if (!before.hidden.empty()) parts.push_back("hidden: " + files_of(before.hidden.size(), "made"));
  if (!before.files.empty()) parts.push_back("restored: " + files_of(before.files.size(), "changed or removed"));
  if (parts.empty()) return "";
  return fmt::format("folders are as the recording found them; {} (--show PATH leaves one as it is now)",
                     fmt::join(parts, "; "));
}

void take_recorded_files(ViewOptions& view, ReplayView& found, const ReplayOptions& options,
                         const nlohmann::json& recorded) {
  if (!is_own_run(options.run)) {
    found.remarks.emplace_back("the run is another user's: which files it wrote is not taken from it");
    return;
  }
  std::vector<fs::path> shown;
  for (const fs::path& path : options.show) shown.push_back(fs::weakly_canonical(path));
  RecordedFiles files = recorded_files(recorded, options.run, shown);
  view.wished = std::move(files.folders);
  view.before = std::move(files.before);
  found.remarks = std::move(files.remarks);
  found.set_aside = std::move(files.set_aside);
  for (const EarlierFile& file : view.before.files)
    if (file.type == EarlierFile::Type::file) found.restored.push_back(file.at);
  if (std::string sentence = before_sentence(view.before); !sentence.empty())
    found.remarks.push_back(std::move(sentence));
}

std::string list_of(const std::vector<fs::path>& files) {
  constexpr std::size_t most = 5;
  std::vector<std::string> names;
  for (const fs::path& file : files)
    if (names.size() < most) names.push_back(file.string());
  return fmt::format("{}{}", fmt::join(names, ", "),
                     files.size() > most ? fmt::format(" and {} more", files.size() - most) : "");
}

}  // namespace

std::optional<ReplayView> view_for(const ReplayOptions& options, const Command& command,
                                   const nlohmann::json& recorded) {
  if (options.in_place && !options.exchanged.empty()) throw BrokenInput("files are exchanged in a view alone");
  if (options.in_place) return std::nullopt;
  ViewOptions wanted;
  wanted.cwd = fs::absolute(command.launch.cwd.empty() ? fs::current_path() : command.launch.cwd);
  wanted.folders = options.view;
  wanted.network = options.network;
  ReplayView found;
  take_recorded_files(wanted, found, options, recorded);
  for (const EarlierFile& file : options.exchanged) {
    wanted.folders.push_back(file.at.parent_path());
    wanted.before.files.push_back(file);
  }
  found.view = std::make_unique<View>(wanted);
  found.view->probe();
  found.remarks.insert(found.remarks.begin(), sentence_of(*found.view, options));
  return found;
}

void name_restored(Verdict& verdict, const ReplayView& view, std::uint64_t first_step) {
  if (verdict.outcome == Outcome::same && !view.set_aside.empty()) {
    std::vector<std::string> way;
    for (const fs::path& file : view.set_aside) way.insert(way.end(), {"--show", file.string()});
    verdict.limits.push_back(fmt::format(
        "what was written since the recording to {}: the recording changed it too, so it was put back as the recording "
        "found it; to try what it holds now: {}",
        list_of(view.set_aside), shell_words(way)));
  }
  if (verdict.outcome == Outcome::diverged && verdict.step == first_step && !view.restored.empty())
    verdict.evidence.push_back(
        fmt::format("put back as the recording found it, but for its time of change (ctime), by which some programs "
                    "choose a file: {}",
                    list_of(view.restored)));
}

std::vector<fs::path> all_refused(std::vector<fs::path> told, const fs::path& output) {
  constexpr std::size_t most = 10;
  for (fs::path& path : refused_writes(output))
    if (told.size() < most && std::ranges::find(told, path) == told.end()) told.push_back(std::move(path));
  return told;
}

void name_refused_writes(Verdict& verdict, const std::vector<fs::path>& refused) {
  for (const fs::path& path : refused) {
    const fs::path folder = folder_to_allow(path);
    const std::string way = folder.has_relative_path()
                                ? shell_words({"--view", folder.string()})
                                : std::string("a folder for it that is there before, and --view with that folder");
    verdict.evidence.push_back(
        fmt::format("a write to {} was refused: it lies outside of the view; {} allows it", path.string(), way));
  }
}

}  // namespace samestep
