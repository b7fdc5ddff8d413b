// The check without a resume command: whether Samestep's own anchor takes the program where the uninterrupted run was.
#pragma once

#include <filesystem>

#include "replay/resume/resume_check.h"
#include "replay/resume/workplace.h"

namespace samestep {

// Replays `whole` from the anchor after step options.at to its end. `folder`: of the check.
[[nodiscard]] ResumeAnswer check_anchor(const ResumeOptions& options, const std::filesystem::path& whole,
                                        const std::filesystem::path& folder);

}  // namespace samestep
