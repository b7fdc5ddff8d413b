// Where workers run: processes of this machine, or jobs of a cluster.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bisect/job.h"
#include "replay/recorder/signals.h"

namespace samestep {

// A worker that has ended, with or without an answer.
struct EndedWorker {
  std::filesystem::path folder;  // of its job
  std::string how;               // "killed by signal 9"
  std::string advice;            // not empty: asking again would end the same way; what to do
};

// A worker that is lost is told like any other: what happened to a machine says nothing of a revision.
class Executor {
 public:
  Executor() = default;
  virtual ~Executor() = default;  // as stop()
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // What a job has to say of who waits for it.
  [[nodiscard]] virtual Tie tie() const = 0;
  // Starts a worker for the job that lies in `folder`. Throws BrokenInput where none can be started at all. `signals`
  // are those of the caller, who holds them while workers run.
  virtual void start(const std::filesystem::path& folder, const Signals& signals) = 0;
  // Waits until workers have ended, a signal has come or half a second has gone by.
  [[nodiscard]] virtual std::vector<EndedWorker> wait(const Signals& signals) = 0;
  // Ends all workers, and all that they have started.
  virtual void stop() noexcept = 0;
};

// As processes of this machine, which end with this one. REQUIRES, as every executor: started as `trial FOLDER`, the
// program of this process calls work(FOLDER), as `samestep` does.
[[nodiscard]] std::unique_ptr<Executor> local_executor();

}  // namespace samestep
