// What a run's manifest says of the files that its program read and wrote, as a replay's view needs it. The manifest is
// hostile until checked: of a run that is another user's nothing of this is taken, for a file that is put back can be
// code.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "replay/view/earlier_state.h"

namespace samestep {

struct RecordedFiles {
  std::vector<std::filesystem::path> folders;    // that were written to, and are there
  EarlierState before;                           // the recording
  std::vector<std::string> remarks;              // files that could not be kept
  std::vector<std::filesystem::path> set_aside;  // of `before`: not as the recording left them, nor as it found them
};

// `session`: what the manifest says of the one that is replayed. `show`: paths that stay as they are now. Throws
// BrokenInput for entries that are none, TamperedInput where a copy is not what was saved.
[[nodiscard]] RecordedFiles recorded_files(const nlohmann::json& session, const std::filesystem::path& run,
                                           const std::vector<std::filesystem::path>& show);

}  // namespace samestep
