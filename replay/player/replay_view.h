// The view a replay runs in: which folders it lays over, and what it refused.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "replay/compare/verdict.h"
#include "replay/player/command.h"
#include "replay/view/view.h"

namespace samestep {

struct ReplayView {
  ViewOptions options;
  std::string sentence;  // what a reader should know before it starts
};

// Nullopt where the replay runs in place. Throws ViewRefused where this machine allows no view; BrokenInput where a
// folder that was asked for cannot be laid over.
[[nodiscard]] std::optional<ReplayView> view_for(const ReplayOptions& options, const Command& command);

// Joins to the verdict which writes outside of the view's folders failed, with the option that allows each: those that
// the program's `output` tells of.
void name_refused_writes(Verdict& verdict, const std::filesystem::path& output);

}  // namespace samestep
