// Jobs side by side: each gets a worker, a lost worker is followed by another, and a signal ends all of them.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "bisect/executor.h"

namespace samestep {

// Does `jobs`; `done(i, answer)` is told of the i-th as it ends, `progress` twice a second how far the first that has
// not ended is, as far as that is known. `new_folder(i)` gives a folder for each attempt. The
// jobs' ties are the executor's. A worker that ends without an answer is followed by another one, three in all. Throws
// TrialInterrupted; BrokenInput and TamperedInput where a job's answer is an error, or its workers were lost too often.
// All workers have ended then. REQUIRES the main thread (see Signals).
void do_side_by_side(
    Executor& executor, std::vector<Job> jobs, const std::function<std::filesystem::path(std::size_t)>& new_folder,
    const std::function<void(std::size_t, const JobAnswer&)>& done,
    const std::function<void(const std::string&)>& progress = [](const std::string&) {});

}  // namespace samestep
