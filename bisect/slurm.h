// Slurm's client programs, as a bisect asks them: sbatch, squeue, scancel of the PATH, which take what steers them from
// their own environment variables (SBATCH_PARTITION, SLURM_CONF, ...).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace samestep {

struct SlurmJob {
  std::uint64_t id = 0;
  std::string state;  // "PENDING", "RUNNING", "COMPLETED", "NODE_FAIL", ...
  std::string name;
  std::filesystem::path folder;  // it was submitted to run there

  friend bool operator==(const SlurmJob&, const SlurmJob&) = default;
};

// Of `squeue --format=%i|%T|%j|%Z`; lines that tell of no single job (an array's) are left out.
[[nodiscard]] std::vector<SlurmJob> parse_slurm_jobs(std::string_view text);
// It ended in this state, with no way back.
[[nodiscard]] bool is_over(const std::string& state);

// Which machines jobs with these options run on, as far as the options say: partition, constraint, GPUs, nodes.
[[nodiscard]] std::string machines_behind(const std::vector<std::string>& options);

class Slurm {
 public:
  // `options`: of sbatch, "--time=60" or "time=60". Throws BrokenInput for one that a bisect cannot work with (--array,
  // ...), and where the programs are not there.
  explicit Slurm(const std::vector<std::string>& options);

  // Submits `script` to run in `folder`, on one node, once; what it prints goes to FOLDER/worker.txt. Throws
  // BrokenInput with sbatch's own words.
  [[nodiscard]] std::uint64_t submit(const std::string& name, const std::filesystem::path& folder,
                                     const std::filesystem::path& script) const;
  // The user's own jobs, with those that ended lately; nullopt where squeue gives no answer: `why` is its own words.
  [[nodiscard]] std::optional<std::vector<SlurmJob>> jobs(std::string& why) const;
  // Those that have ended already are no mistake. "", or scancel's own words.
  [[nodiscard]] std::string cancel(const std::vector<std::uint64_t>& ids) const;

 private:
  std::vector<std::string> options_;
};

}  // namespace samestep
