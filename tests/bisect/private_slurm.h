// A Slurm cluster of this machine alone, for one test: munged, slurmctld and slurmd in a folder of its own, on ports of
// its own, by this user. Nothing of the machine's own Slurm is touched.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "replay/recorder/launch.h"
#include "tests/player/written_run.h"

namespace samestep::testing {

class PrivateSlurm {
 public:
  // Waits until its node takes jobs.
  PrivateSlurm();
  // Cancels every job and ends every daemon; they end as well where this process is killed.
  ~PrivateSlurm();
  PrivateSlurm(const PrivateSlurm&) = delete;
  PrivateSlurm& operator=(const PrivateSlurm&) = delete;

  // "", or why jobs cannot be run here: which program is missing, what a daemon said.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  // What a client needs to find it.
  [[nodiscard]] EnvironmentChanges environment() const;
  // A shell's command, with that; its standard output.
  std::string sh(const std::string& command) const;
  // Ids of the jobs that wait or run.
  [[nodiscard]] std::vector<std::string> active_jobs() const;

 private:
  void write_configuration() const;
  void start(const std::string& name, const std::vector<std::string>& words);
  void start_daemons();
  void wait_until_idle();
  [[nodiscard]] std::string last_words() const;

  Folder folder_;
  std::string refusal_;
  std::vector<pid_t> daemons_;  // the one started last ends first
};

}  // namespace samestep::testing
