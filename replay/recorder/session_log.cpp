#include "replay/recorder/session_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/utc.h"

namespace samestep {

namespace {

std::size_t items_in_lists(const StepRecord& record) {
  std::size_t most = 0;
  for (const Lane lane : all_lanes)
    if (is_list(lane)) most = std::max(most, record.of(lane).items.size());
  return most;
}

}  // namespace

SessionLog::SessionLog(const LogSettings& settings, std::uint32_t rank, RankState& rank_state, ManifestKeeper& manifest,
                       nlohmann::json process, nlohmann::json environment)
    : settings_(settings),
      rank_(rank),
      state_(rank_state),
      manifest_(manifest),
      process_(std::move(process)),
      environment_(std::move(environment)),
      next_step_(rank_state.end_step),
      chain_(rank_state.chain) {}

void SessionLog::set_layout(const Layout& layout) {
  if (layout_ && *layout_ == layout) return;
  end("closed");
  layout_ = layout;
}

void SessionLog::set_start(std::uint64_t first_step, const Digest& chain_before) {
  next_step_ = first_step;
  chain_ = chain_before;
}

void SessionLog::append(StepRecord& record, Detail detail) {
  if (record.step != next_step_)
    throw BrokenInput(
        fmt::format("Recording rank {}: step {} came where step {} was due.", rank_, record.step, next_step_));
  if (writer_ && !writer_->has_room_for(record)) {
    if (writer_->steps() < format::max_segment_steps) list_slots_ *= 2;
    end("closed");
  }
  const bool begins = !writer_;
  if (begins) begin_segment(record);
  writer_->append(record, detail);
  // A segment whose entry is not on disk would be lost with the recorder, acknowledged steps and all.
  if (begins) enter_segment();
  chain_ = writer_->chain();
  ++next_step_;
  ++steps_;
  if (begins) segments_[record.step] = number_;
  state_.chain = chain_;
  state_.log_chain = writer_->log_chain();
  state_.end_step = next_step_;
}

void SessionLog::begin_segment(const StepRecord& first) {
  if (!layout_) throw BrokenInput(fmt::format("Recording rank {}: a step came before the table of tensors.", rank_));
  list_slots_ = std::max(list_slots_, items_in_lists(first));
  number_ = state_.next_segment++;
  const SegmentHeader header{settings_.run_id, rank_, number_, next_step_, chain_, state_.log_chain};
  const std::string file = format::log_file(rank_, number_);
  // A shape of high rank takes more than one slot.
  for (;; list_slots_ *= 2) {
    writer_.emplace(settings_.run / file, header, *layout_, list_slots_, settings_.detail_every, settings_.sync_every);
    if (writer_->has_room_for(first) || list_slots_ >= format::max_slots) break;
    writer_.reset();
    std::filesystem::remove(settings_.run / file);
  }
}

void SessionLog::enter_segment() {
  SegmentEntry entry;
  entry.rank = rank_;
  entry.number = number_;
  entry.file = format::log_file(rank_, number_);
  entry.first_step = next_step_;
  entry.steps = writer_->steps();
  entry.began_ns = utc_now_ns();
  entry.process = process_;
  entry.environment = environment_;
  manifest_.change([&](Manifest& manifest) { manifest.segments.push_back(entry); });
  manifest_.renew();
}

void SessionLog::thin(std::uint64_t detail_every) {
  settings_.detail_every = detail_every;
  end("closed");
}

std::optional<std::uint32_t> SessionLog::segment_of(std::uint64_t step) const {
  const auto after = segments_.upper_bound(step);
  if (step >= next_step_ || after == segments_.begin()) return std::nullopt;
  return std::prev(after)->second;
}

std::uint64_t SessionLog::bytes() const {
  return state_.bytes + (writer_ ? writer_->bytes() : 0);
}

void SessionLog::end(const std::string& how) {
  if (writer_) return close_writer(how);
  if (!std::exchange(left_, false)) return;
  manifest_.change([&](Manifest& manifest) {
    if (SegmentEntry* entry = entry_in(manifest)) entry->ended = how;
  });
}

void SessionLog::leave() {
  left_ = writer_.has_value();
  end("lost");
}

void SessionLog::close_writer(const std::string& how) {
  std::string said = how;
  std::error_code ignored;
  try {
    writer_->close();
  } catch (const BrokenInput& error) {
    said = fmt::format("lost: {}", error.what());
    left_ = false;
  }
  state_.bytes += writer_->bytes();
  // Nothing was committed: no entry names the file.
  if (writer_->steps() == 0) std::filesystem::remove(settings_.run / format::log_file(rank_, number_), ignored);
  manifest_.change([&](Manifest& manifest) {
    SegmentEntry* entry = entry_in(manifest);
    if (entry == nullptr) return;
    entry->steps = writer_->steps();
    entry->ended = said;
    entry->ended_ns = utc_now_ns();
    if (!writer_->is_counted()) return;  // what the file holds is not known: the manifest does not vouch for it
    entry->chain = writer_->chain();
    entry->log_chain = writer_->log_chain();
  });
  state_.chain = writer_->chain();
  state_.log_chain = writer_->log_chain();
  writer_.reset();
}

SegmentEntry* SessionLog::entry_in(Manifest& manifest) const {
  const auto found = std::ranges::find_if(
      manifest.segments, [&](const SegmentEntry& entry) { return entry.rank == rank_ && entry.number == number_; });
  return found == manifest.segments.end() ? nullptr : &*found;
}

}  // namespace samestep
