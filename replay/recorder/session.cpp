#include "replay/recorder/session.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "replay/recorder/sink.h"
#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/utc.h"

namespace samestep {

namespace {

constexpr std::size_t most_tensors_named = 3;
constexpr std::uint64_t most_client_events = 1000;
constexpr std::size_t most_event_text = 2048, most_event_tensor = 1024, most_event_kind = 64;  // bytes

// At most `most` bytes of UTF-8, and no half character.
std::string clipped(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

// A kind is a word that programs look for; whatever is none becomes a note.
std::string kind_or_note(const std::string& kind) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !kind.empty() && kind.size() <= most_event_kind && std::ranges::all_of(kind, fits) ? kind : "note";
}

std::string named(const std::vector<std::string>& tensors) {
  const std::size_t count = std::min(tensors.size(), most_tensors_named);
  std::string text =
      fmt::format("{}", fmt::join(tensors.begin(), tensors.begin() + static_cast<std::ptrdiff_t>(count), ", "));
  if (tensors.size() > count) text += fmt::format(" and {} more", tensors.size() - count);
  return text;
}

// ", first in batch": the lane, in causal order, that both hold and that differs. Empty where it cannot be told.
std::string where_it_parts(const StepSource& earlier, const StepRecord& record) try {
  const StepRecord before = earlier.record(record.step);
  for (const Lane lane : all_lanes) {
    const LaneRecord &a = before.of(lane), &b = record.of(lane);
    const bool comparable = a.status == LaneStatus::captured && b.status == LaneStatus::captured;
    if (comparable && a.digest != b.digest) return fmt::format(", first in {}", name(lane));
  }
  return "";
} catch (const BrokenInput&) {
  return "";
}

std::uint64_t bytes_of(const Column& column) {
  std::uint64_t elements = 1;
  if (column.shape)
    for (const std::int64_t extent : *column.shape)
      elements *= static_cast<std::uint64_t>(std::max<std::int64_t>(0, extent));
  return elements * element_size(column.dtype);
}

}  // namespace

std::uint64_t anchor_bytes(const Layout& layout) {
  std::uint64_t bytes = 0;
  for (const Lane lane : {Lane::weights_out, Lane::optimizer})
    for (const Column& column : layout.of(lane)) bytes += bytes_of(column);
  return bytes;
}

Session::Session(std::uint32_t rank, SessionLog log, ManifestKeeper& manifest)
    : rank_(rank), log_(std::move(log)), manifest_(manifest) {}

void Session::leave() {
  log_.leave();
  gone_ = true;
}

void Session::go_on(Continuation found) {
  log_.set_start(found.first_step, found.chain_before);
  overlap_ = std::move(found.overlap);
  tell("resume", found.first_step, "A new session. " + found.text);
}

void Session::begin(const Layout& layout) {
  if (encode(layout).size() > format::max_layout_bytes) throw BrokenClient("its table of tensors is too large");
  log_.set_layout(layout);
  continuity_.begin(layout);
}

void Session::check(const StepRecord& record) const {
  if (record.step != log_.next_step())
    throw BrokenClient(fmt::format("step {} came where step {} was due", record.step, log_.next_step()));
  if (!SegmentWriter::any_has_room_for(record))
    throw BrokenClient(fmt::format("step {} has more tensors in a list than a log can hold", record.step));
}

void Session::tell(const std::string& kind, std::optional<std::uint64_t> step, const std::string& text,
                   const std::string& tensor) const {
  manifest_.add({utc_now_ns(), rank_, kind, step, tensor, text});
}

void Session::tell_from_client(const protocol::Notice& notice) {
  if (notice.kind == protocol::other_optimizer) continuity_.forget();
  if (client_events_ > most_client_events) return;
  if (++client_events_ > most_client_events)
    return tell(
        "events_left_out", notice.step,
        fmt::format("The program told of {} events; what it tells from here on is left out.", most_client_events));
  tell(kind_or_note(notice.kind), notice.step, clipped(notice.text, most_event_text),
       clipped(notice.tensor, most_event_tensor));
}

void Session::observe(const StepRecord& record) {
  if (const auto changed = continuity_.observe(record); !changed.empty())
    tell("state_edited", record.step,
         fmt::format("Between steps {} and {} something changed {}.", static_cast<std::int64_t>(record.step) - 1,
                     record.step, named(changed)),
         changed.front());
  if (const auto slow = pace_.observe(record.timing, utc_now_ns())) {
    const char* kind = slow->between_steps ? "gap" : "slow_step";
    const char* where = slow->between_steps ? "most of it before its forward pass" : "most of it inside the step";
    tell(kind, record.step,
         fmt::format("Step {} took {:.3g} s where {:.3g} s is usual, {}.", record.step, slow->seconds,
                     slow->usual_seconds, where));
  }
  if (const auto twice = repeats_.observe(record)) {
    const auto& [one, other] = *twice;
    tell("repeated_batch", one.step,
         fmt::format("Step {} got the batch of step {} once more, and step {} that of step {}, while others differ: "
                     "loader workers that each hold a copy of one generator draw the same data (so does a loop that "
                     "takes several steps on one batch, on purpose).",
                     one.step, one.before, other.step, other.before));
  }
}

// False as well where the earlier recording has no such step, or it cannot be read.
bool Session::parts_here(const StepRecord& record) {
  try {
    if (record.step >= overlap_->end_step()) return false;
    return overlap_->chain(record.step) != record.chain;
  } catch (const BrokenInput&) {
    overlap_.reset();
    return false;
  }
}

void Session::compare_overlap(const StepRecord& record) {
  if (!overlap_ || !parts_here(record)) return;
  const std::string where = where_it_parts(*std::exchange(overlap_, nullptr), record);
  const std::string text = fmt::format(
      "Step {} is the first that differs from the earlier recording of the same steps{}.", record.step, where);
  manifest_.add({utc_now_ns(), rank_, "resume", record.step, "", text}, true);
}

}  // namespace samestep
