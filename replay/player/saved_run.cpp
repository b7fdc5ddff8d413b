#include "replay/player/saved_run.h"

#include <algorithm>

#include "replay/run/format.h"
#include "replay/run/run_files.h"
#include "replay/run/utc.h"

namespace samestep {
namespace {

std::size_t slots_for(const StepRecord& record) {
  constexpr std::size_t least = 8;  // twice what is there: later steps may have more micro-batches
  return std::max({least, 2 * record.of(Lane::batch).items.size(), 2 * record.of(Lane::loss).items.size(),
                   record.host_reads.size() / 4});
}

}  // namespace

SavedRun::SavedRun(std::filesystem::path folder, nlohmann::json what, std::uint32_t rank, std::uint64_t first_step,
                   const Digest& chain_before)
    : folder_(std::move(folder)), rank_(rank), next_step_(first_step), chain_(chain_before) {
  manifest_.run_id = new_run_id();
  manifest_.what = std::move(what);
  write();
}

void SavedRun::begin(const protocol::Hello& hello) {
  hello_ = hello;
}

void SavedRun::add(const StepRecord& record, const Layout& layout) {
  StepRecord copy = record;
  if (!writer_ || !(layout == layout_) || !writer_->has_room_for(copy)) next_segment(layout, slots_for(copy));
  writer_->append(copy);
  ++next_step_;
}

void SavedRun::end(const std::string& how) {
  if (writer_) close_segment(how);
}

void SavedRun::next_segment(const Layout& layout, std::size_t slots) {
  if (writer_) close_segment("closed");
  SegmentEntry entry;
  entry.rank = rank_;
  entry.number = static_cast<std::uint32_t>(manifest_.segments.size());
  entry.file = format::log_file(rank_, entry.number);
  entry.first_step = next_step_;
  entry.began_ns = utc_now_ns();
  entry.process = {{"pid", hello_.pid}, {"program", hello_.program}, {"world_size", hello_.world_size}};
  entry.environment = hello_.environment;
  writer_.emplace(folder_ / entry.file,
                  SegmentHeader{manifest_.run_id, rank_, entry.number, next_step_, chain_, log_chain_}, layout, slots);
  layout_ = layout;
  manifest_.segments.push_back(std::move(entry));
  write();
}

void SavedRun::close_segment(const std::string& how) {
  SegmentEntry& entry = manifest_.segments.back();
  writer_->close();
  entry.steps = writer_->steps();
  entry.chain = chain_ = writer_->chain();
  entry.log_chain = log_chain_ = writer_->log_chain();
  entry.digest = file_digest(folder_ / entry.file);
  entry.ended = how;
  entry.ended_ns = utc_now_ns();
  writer_.reset();
  write();
}

void SavedRun::write() {
  write_manifest(folder_, manifest_);
}

}  // namespace samestep
