// The run's anchors: when the next one is due, how it gets from the trainer's memfd to a synced file, which ones stay.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "replay/recorder/anchor_pacing.h"
#include "replay/recorder/descriptor.h"
#include "replay/recorder/manifest_keeper.h"
#include "replay/recorder/terminal.h"
#include "replay/recorder/worker.h"

namespace samestep {

struct AnchorPolicy {
  std::uint64_t every = 0;  // 0: spaced so that writing them costs at most `share` of the run's time
  double share = 0.01;
  std::uint64_t budget = 0;  // bytes of all anchors together
};
// The smaller of 10 GiB and a tenth of the free disk at `run`.
[[nodiscard]] std::uint64_t default_anchor_budget(const std::filesystem::path& run);

class AnchorKeeper {
 public:
  // All arguments must outlive it. Anchors are written by a thread of its own.
  AnchorKeeper(std::filesystem::path run, std::string run_id, const AnchorPolicy& policy, ManifestKeeper& manifest,
               Terminal& terminal);
  ~AnchorKeeper();  // finish()

  // Called by the sink's thread.

  // A new session of a rank: what an earlier one was asked for will not come.
  void begin(std::uint32_t rank);
  // An anchor of a rank will take about `bytes`. Where one exceeds the budget this says so, and none will be kept.
  void expect(std::uint32_t rank, std::uint64_t bytes);
  // True where rank's next acknowledgement should ask for an anchor (policy without `every`). Asks once at a time.
  [[nodiscard]] bool ask(std::uint32_t rank);
  // An anchor of rank is asked for, or falls on the state after `step`: the detail of that step belongs into the log.
  [[nodiscard]] bool may_follow(std::uint32_t rank, std::uint64_t step) const;
  // The state after `step` updates, as step - 1 of `segment` left it. Takes over `file` and returns; waits first until
  // the anchor before it is on disk, so that one is in flight. A second one of the same state is dropped.
  void keep(std::uint32_t rank, std::uint32_t segment, std::uint64_t step, Descriptor file);

  // Waits until all are on disk.
  void finish();

 private:
  struct Rank {
    AnchorPacing pacing;
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
    bool asked = false;
    bool too_large = false;
  };
  [[nodiscard]] Rank& rank_of(std::uint32_t rank);
  void write(AnchorEntry entry, const Descriptor& file);
  void store(AnchorEntry& entry, const Descriptor& file) const;
  [[nodiscard]] bool is_kept(const AnchorEntry& entry) const;
  void enter(const AnchorEntry& entry);
  void thin();

  std::filesystem::path run_;
  std::string run_id_;
  AnchorPolicy policy_;
  ManifestKeeper& manifest_;
  Terminal& terminal_;
  mutable std::mutex mutex_;  // of ranks_
  std::map<std::uint32_t, Rank> ranks_;
  Worker worker_;
};

// Which of `anchors` (of one rank, in order of steps) must go so that their bytes fit `budget`: again and again the one
// whose neighbours are closest together; the first and the last stay.
[[nodiscard]] std::vector<AnchorEntry> anchors_to_drop(std::vector<AnchorEntry> anchors, std::uint64_t budget);

}  // namespace samestep
