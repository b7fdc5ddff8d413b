#include "replay/player/replay_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

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

}  // namespace

std::optional<ReplayView> view_for(const ReplayOptions& options, const Command& command) {
  if (options.in_place) return std::nullopt;
  ReplayView found;
  found.options.cwd = fs::absolute(command.launch.cwd.empty() ? fs::current_path() : command.launch.cwd);
  found.options.folders = options.view;
  found.options.network = options.network;
  View view(found.options);
  view.probe();
  found.sentence = sentence_of(view, options);
  return found;
}

void name_refused_writes(Verdict& verdict, const fs::path& output) {
  for (const fs::path& path : refused_writes(output)) {
    const fs::path folder = folder_to_allow(path);
    const std::string way = folder.has_relative_path()
                                ? shell_words({"--view", folder.string()})
                                : std::string("a folder for it that is there before, and --view with that folder");
    verdict.evidence.push_back(
        fmt::format("a write to {} was refused: it lies outside of the view; {} allows it", path.string(), way));
  }
}

}  // namespace samestep
