// The logs of one session: its segments, one after the other, and the chain that runs through them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replay/recorder/manifest_keeper.h"
#include "replay/run/segment_writer.h"

namespace samestep {

// Where a rank stands: what the next segment of it takes up.
struct RankState {
  std::uint32_t next_segment = 0;
  std::uint64_t end_step = 0;  // one past the last recorded step
  Digest chain, log_chain;
  std::uint64_t bytes = 0;  // of its logs so far
};

struct LogSettings {
  std::filesystem::path run;
  std::string run_id;
  std::uint64_t detail_every = 1;
  std::uint64_t sync_every = 64;  // steps between two fsyncs; 0: none
};

class SessionLog {
 public:
  // `rank_state` and `manifest` must outlive it. `process`, `environment`: as SegmentEntry has them.
  SessionLog(const LogSettings& settings, std::uint32_t rank, RankState& rank_state, ManifestKeeper& manifest,
             nlohmann::json process, nlohmann::json environment);

  // The table of tensors of the steps that follow; another one than now begins the next segment.
  void set_layout(const Layout& layout);
  // Where the session goes on; before its first step. Else it goes on after the rank's last step.
  void set_start(std::uint64_t first_step, const Digest& chain_before);
  // Stores the step; when it returns, the step and its segment's entry in the manifest survive any kill. Throws
  // BrokenInput where the disk refuses, or where `record` is not the next step.
  void append(StepRecord& record, Detail detail);
  // From the next step on, a new segment keeps per-tensor detail of every `detail_every`-th step only.
  void thin(std::uint64_t detail_every);
  // Ends the segment that is open, if any. Never throws: a log that cannot be closed still holds its flushed steps.
  void end(const std::string& how);
  // Ends it as "lost", until an end() that follows says how.
  void leave();

  // The segment that holds `step` of this session, if it has made that step.
  [[nodiscard]] std::optional<std::uint32_t> segment_of(std::uint64_t step) const;
  [[nodiscard]] std::uint64_t next_step() const { return next_step_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  [[nodiscard]] std::uint64_t detail_every() const { return settings_.detail_every; }
  [[nodiscard]] std::uint64_t bytes() const;  // of the rank's logs

 private:
  void begin_segment(const StepRecord& first);
  void enter_segment();
  [[nodiscard]] SegmentEntry* entry_in(Manifest& manifest) const;
  void close_writer(const std::string& how);

  LogSettings settings_;
  std::uint32_t rank_;
  RankState& state_;
  ManifestKeeper& manifest_;
  nlohmann::json process_, environment_;
  std::optional<Layout> layout_;
  std::optional<SegmentWriter> writer_;
  std::uint32_t number_ = 0;                         // of the open segment
  std::map<std::uint64_t, std::uint32_t> segments_;  // numbers by first step
  bool left_ = false;                                // it was ended by leave()
  std::size_t list_slots_ = 8;
  std::uint64_t next_step_ = 0, steps_ = 0;
  Digest chain_;
};

}  // namespace samestep
