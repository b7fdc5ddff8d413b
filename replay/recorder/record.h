// `samestep record`: the run directory, the server, the command, its end.
#pragma once

#include "replay/recorder/file_listener.h"
#include "replay/recorder/launch.h"
#include "replay/recorder/run_recorder.h"
#include "replay/recorder/server.h"

namespace samestep {

// Records the command and returns the exit code for `record`: the command's own, 128 + n for death by signal n, 126 or
// 127 where it cannot be started. Throws BrokenInput where the recording cannot begin; the command has not been started
// then.
[[nodiscard]] int record(const RecordOptions& options);

// Has the command, which is not started yet, tell the recorder of its files. Null where they are not watched, or cannot
// be.
[[nodiscard]] std::unique_ptr<FileListener> listen_for_files(const RunRecorder& recorder, const Server& server,
                                                             Launch& launch, Terminal& terminal);

// The part of it that every recording shares: starts the command, waits for its end, ends `listener` if there is one,
// gives the recorder what the command asked to be seeded with, and says what went wrong between them. The run stays
// open: see RunRecorder::close(). `server` is the recorder's. REQUIRES the main thread (see launch()).
[[nodiscard]] Ending launch_recorded(const Launch& command, RunRecorder& recorder, Server& server, Terminal& terminal,
                                     FileListener* listener = nullptr);

}  // namespace samestep
