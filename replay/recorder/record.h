// `samestep record`: the run directory, the server, the command, its end.
#pragma once

#include "replay/recorder/run_recorder.h"

namespace samestep {

// Records the command and returns the exit code for `record`: the command's own, 128 + n for death by signal n, 126 or
// 127 where it cannot be started. Throws BrokenInput where the recording cannot begin; the command has not been started
// then.
[[nodiscard]] int record(const RecordOptions& options);

}  // namespace samestep
