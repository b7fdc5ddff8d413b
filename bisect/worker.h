// A worker: the process that does one job of a bisect. `samestep trial FOLDER` is one.
#pragma once

#include <filesystem>

namespace samestep {

// Does the job that lies in `folder`, an absolute path, and leaves its answer there. The program's exit code: 0 with an
// answer, 128 + n where signal n ended the job, 2 where no answer could be left. Everything that the job started has
// ended then, on a signal and with whoever waits for it (Tie) as well. Prints why there is no answer to standard error.
// REQUIRES the main thread of a program that does nothing else.
[[nodiscard]] int work(const std::filesystem::path& folder);

}  // namespace samestep
