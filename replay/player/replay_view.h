// The view a replay runs in: which folders it lays over, and what it refused.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replay/compare/verdict.h"
#include "replay/player/command.h"
#include "replay/view/view.h"

namespace samestep {

struct ReplayView {
  std::unique_ptr<View> view;
  std::vector<std::string> remarks;              // what a reader should know before it starts
  std::vector<std::filesystem::path> restored;   // files that it has as the recording found them
  std::vector<std::filesystem::path> set_aside;  // of those: written to since the recording
};

// With the folders that the `recorded` session wrote to, as they were before it, where the run is the caller's own:
// from another user's nothing is taken. Nullopt where the replay runs in place. Throws ViewRefused where this machine
// allows no view; BrokenInput where a folder that was asked for cannot be laid over, or what the manifest says of files
// is broken; TamperedInput where a copy of one is not what was saved.
[[nodiscard]] std::optional<ReplayView> view_for(const ReplayOptions& options, const Command& command,
                                                 const nlohmann::json& recorded);

// Those that were `told`, and those that the program's `output` speaks of; each once, at most ten.
[[nodiscard]] std::vector<std::filesystem::path> all_refused(std::vector<std::filesystem::path> told,
                                                             const std::filesystem::path& output);

// Joins to the verdict what its files' being put back leaves open: what was written to one since nobody has tried, and
// their time of change (ctime), which nothing can put back, is that of the replay.
void name_restored(Verdict& verdict, const ReplayView& view, std::uint64_t first_step);

// Joins to the verdict which writes outside of the view's folders failed, with the option that allows each.
void name_refused_writes(Verdict& verdict, const std::vector<std::filesystem::path>& refused);

}  // namespace samestep
