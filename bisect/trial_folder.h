// What every trial has to do with the disk: room for it, what it leaves, what it takes.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bisect/trial.h"
#include "replay/player/player.h"

namespace samestep {

// Throws BrokenInput where the disk of `folder` is full: what was tried cannot be blamed for that.
void refuse_a_full_disk(const std::filesystem::path& folder);
// So where the replay found its own disk full, or where it tells nothing and that of `own`, its folder, is.
void refuse_a_full_disk(const ReplayAnswer& replayed, const TrialAnswer& answer, const std::filesystem::path& own);

// Creates what a bisect leaves its trials and its log in, with a .gitignore of "*" in samestep-runs. Throws BrokenInput
// where it cannot.
void make_bisect_folder(const std::filesystem::path& folder);

// The tensors of a step that differs are for a single replay; of many trials they would fill the disk.
void remove_dumps(const std::filesystem::path& folder);

// Files that the recording took, of a session's `what`: data, program, libraries, modules.
[[nodiscard]] std::vector<std::filesystem::path> recorded_inputs(const nlohmann::json& what);

// A new folder FOLDER/<number>-<name>, `number` counted on from what it is; those of an earlier bisect stay. Throws
// BrokenInput where it cannot be made.
[[nodiscard]] std::filesystem::path new_trial_folder(const std::filesystem::path& folder, const std::string& name,
                                                     std::uint64_t& number);

}  // namespace samestep
