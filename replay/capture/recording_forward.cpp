// The way of a recording's replay to its anchor, and the numbers that a later one is given on that way.
#include <utility>

#include "replay/capture/recording.h"

namespace samestep::capture {

bool Recording::goes_forward() const {
  const bool jumps =
      program_.restart == Restart::jump || (program_.restart == Restart::either && link_->welcome().jump);
  return !jumps && link_->welcome().has_anchor;
}

void Recording::note_or_give_reads() {
  if (!replaying()) host_reads_ = std::make_unique<HostReads>();
  if (!goes_forward()) return;
  std::vector<at::Tensor> weights;
  for (const auto& slot : parameters_.slots()) weights.push_back(slot.tensor);
  forward_ = std::make_unique<FastForward>(weights);
  HostReads::give(link_->welcome().host_reads);
}

bool Recording::take_written(const std::vector<at::Tensor>& tensors) {
  bool written = false;
  for (const auto& tensor : tensors) written |= forward_ != nullptr && forward_->take_written(tensor);
  return written;
}

std::vector<std::uint64_t> Recording::take_reads() {
  bool lost = false;
  auto reads = HostReads::take(&lost);
  if (lost && !std::exchange(reads_said_, true)) {
    notice("host_reads",
           "the program read more than " + std::to_string(max_host_reads) +
               " numbers out of tensors in one step; a replay that fast-forwards over it cannot give them all",
           step_number());
  }
  return reads;
}

// The record of a step that was not computed: what the program chose and drew is its own, the rest is the recording's.
void Recording::skip_update(std::size_t optimizer, bool skipped) {
  StepRecord record;
  record.step = step_number();
  record.optimizer = static_cast<std::uint32_t>(optimizer);
  record.skipped = skipped;
  for (const auto lane : all_lanes) record.of(lane).status = LaneStatus::given;
  record.of(Lane::rng) = std::move(draft_.rng);
  record.of(Lane::hyper) = hyper_lane();
  if (draft_.batch_seen && !draft_.batch_stale) {
    record.of(Lane::batch).status = LaneStatus::captured;
    record.of(Lane::batch).items = std::move(draft_.batch);
  }
  if (std::exchange(layout_changed_, false)) {
    layout_ = layout_now({});
    link_->layout(encode(layout_));
  }
  mask_and_seal(record, optimizer);
  record.timing = timing();
  check_reads();
  link_->step(record.step, encode(record));
  for (const auto& slot : parameters_.slots()) forward_->mark(slot.tensor);
  HostReads::give(link_->take_host_reads());
  obey(record.step, optimizer);
  arriving_ = record.step + 1 == link_->welcome().first_step && !loop_.stopped;
}

// The recorded program read as many numbers as this one, or what it decided by them cannot be trusted.
void Recording::check_reads() {
  const auto missing = HostReads::short_of(), left = HostReads::left();
  if (missing + left == 0 || std::exchange(reads_said_, true)) return;
  notice("fast_forward",
         missing > 0 ? "the program read " + std::to_string(missing) + " numbers more out of tensors than were recorded"
                     : std::to_string(left) + " of the numbers that the recorded program read were not asked for",
         step_number());
}

void Recording::arrive() {
  forward_.reset();
  layout_changed_ = true;
  draft_ = {};
  const auto next = restore();
  if (next == loop_.next || loop_.stopped) return;
  notice("restore",
         "the anchor is of the program's step " + std::to_string(next) + ", the program is at step " +
             std::to_string(loop_.next),
         link_->welcome().first_step);
}

}  // namespace samestep::capture
