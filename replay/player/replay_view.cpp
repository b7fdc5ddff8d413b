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

void take_recorded_files(ViewOptions& view, std::vector<std::string>& remarks, const ReplayOptions& options,
                         const nlohmann::json& recorded) {
  if (!is_own_run(options.run)) {
    remarks.emplace_back("the run is another user's: which files it wrote is not taken from it");
    return;
  }
  std::vector<fs::path> shown;
  for (const fs::path& path : options.show) shown.push_back(fs::weakly_canonical(path));
  RecordedFiles files = recorded_files(recorded, options.run, shown);
  view.wished = std::move(files.folders);
  view.before = std::move(files.before);
  remarks = std::move(files.remarks);
  if (std::string sentence = before_sentence(view.before); !sentence.empty()) remarks.push_back(std::move(sentence));
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
  take_recorded_files(wanted, found.remarks, options, recorded);
  for (const EarlierFile& file : options.exchanged) {
    wanted.folders.push_back(file.at.parent_path());
    wanted.before.files.push_back(file);
  }
  found.view = std::make_unique<View>(wanted);
  found.view->probe();
  found.remarks.insert(found.remarks.begin(), sentence_of(*found.view, options));
  return found;
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
