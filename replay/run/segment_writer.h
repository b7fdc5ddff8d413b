// Writes one segment's HDF5 log. A segment is never reopened for writing: create, append, close. HDF5 in SWMR mode, one
// step a chunk, Fletcher32 on, everything created before SWMR writing starts, one flush a step; so whatever append()
// has returned for stays readable through any kill, and live readers never meet a torn row.
// One thread makes all HDF5 calls of a process; this class holds no lock.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "replay/run/record.h"

namespace samestep {

struct SegmentHeader {
  std::string run_id;
  std::uint32_t rank = 0;
  std::uint32_t number = 0;
  std::uint64_t first_step = 0;
  Digest chain_before;      // the chain of step first_step - 1 (zeros at the start of a run)
  Digest log_chain_before;  // the log chain of the segment before (zeros for the first)
};

// Whether a step's per-tensor detail is kept by the schedule, or in any case (the step before an anchor).
enum class Detail : std::uint8_t { scheduled, keep };

class SegmentWriter {
 public:
  // Creates `file` (refused if it exists) with room for `list_slots` items a step in list lanes: a slot is 64 bytes, an
  // item of rank r takes 34 + 8 r of them, and a slot gives room for 8 host reads. Per-tensor detail (presence, digests, items, summaries, generators at O) is
  // stored at steps divisible by `detail_every`, in the first `dense_summaries` steps, at the segment's first step and
  // where named state was captured; the other steps keep lane digests, losses and hyper-parameters. fsync every
  // `sync_every` steps (0: never). Throws BrokenInput with the file's name and the reason (disk full, permission, ...).
  SegmentWriter(const std::filesystem::path& file, const SegmentHeader& header, const Layout& layout,
                std::size_t list_slots, std::uint64_t detail_every = 1, std::uint64_t sync_every = 64);
  ~SegmentWriter();  // closes; errors are dropped, so call close() where they matter
  SegmentWriter(SegmentWriter&&) noexcept;
  SegmentWriter& operator=(SegmentWriter&&) noexcept;

  // Thins `record` by the schedule, computes its root, chain and log chain, stores it and flushes. REQUIRES
  // record.step == first_step + steps() and fits(record, layout). If it throws BrokenInput (disk full), the steps
  // before stay valid, and the writer accepts no further step.
  void append(StepRecord& record, Detail detail = Detail::scheduled);
  // False where the segment has format::max_segment_steps, or a list lane of `record` has more items than it has room
  // for: begin the next segment.
  [[nodiscard]] bool has_room_for(const StepRecord& record) const;
  // False where a list lane of `record` has more than any segment has room for.
  [[nodiscard]] static bool any_has_room_for(const StepRecord& record);
  // Syncs and closes the file; no step can follow. Throws BrokenInput where the disk refuses.
  void close();

  // False where the disk failed while the row was written that makes a step count: the file then holds steps(), or one
  // more. A step whose sync failed is in the file and counted, although append() threw.
  [[nodiscard]] bool is_counted() const;
  [[nodiscard]] std::uint64_t steps() const;
  [[nodiscard]] std::uint64_t bytes() const;  // of the file so far
  [[nodiscard]] const Digest& chain() const;
  // After the last step; before the first the digest of the segment's header and table (docs/format.md, "Chains").
  [[nodiscard]] const Digest& log_chain() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samestep
