// A step's record as bytes and back. The bytes are canonical: a vector's flag is set exactly where the vector is not
// empty, so that one record has one encoding, which the log chain relies on.
#include "replay/run/record_codec.h"

#include <algorithm>

#include "replay/run/bytes.h"
#include "replay/run/record.h"

namespace samestep {
namespace {

bool one_per_column(std::size_t size, std::size_t columns) {
  return size == 0 || size == columns;
}

bool valid_item(const ListItem& item) {
  return element_size(item.dtype) != 0 && item.shape.size() <= max_rank &&
         std::all_of(item.shape.begin(), item.shape.end(), [](std::int64_t size) { return size >= 0; });
}

bool list_lane_fits(Lane lane, const LaneRecord& record) {
  const bool named_parts = !record.presence.empty() || !record.digests.empty() || !record.summaries.empty();
  const bool values_fit =
      lane == Lane::loss ? record.values.empty() || record.items.empty() || record.values.size() == record.items.size()
                         : record.values.empty();
  return !named_parts && values_fit && std::all_of(record.items.begin(), record.items.end(), valid_item);
}

bool named_lane_fits(Lane lane, const LaneRecord& record, std::size_t columns) {
  return record.items.empty() && one_per_column(record.presence.size(), columns) &&
         one_per_column(record.digests.size(), lane == Lane::hyper ? 0 : columns) &&
         one_per_column(record.values.size(), lane == Lane::hyper ? columns : 0) &&
         one_per_column(record.summaries.size(), has_summaries(lane) ? columns : 0) &&
         record.presence.empty() == (lane == Lane::hyper ? record.values.empty() : record.digests.empty());
}

// --- Writing ----------------------------------------------------------------------------------------------------

void put_lane(ByteWriter& out, Lane lane, const LaneRecord& record) {
  put_lane_head(out, record);
  put_presence(out, record.presence);
  put_digests(out, record.digests);
  if (is_list(lane) && !record.values.empty()) out.u32(static_cast<std::uint32_t>(record.values.size()));
  put_values(out, record.values);
  if (!record.items.empty()) out.u32(static_cast<std::uint32_t>(record.items.size()));
  put_items(out, record.items);
  for (const Summary& summary : record.summaries) put_summary(out, summary);
}

// --- Reading ----------------------------------------------------------------------------------------------------

template <class Enum>
Enum enumerator(ByteReader& in, std::uint8_t last, const char* what) {
  const std::uint8_t value = in.u8();
  if (value > last) in.fail(std::string(what) + " has the unknown value " + std::to_string(value));
  return static_cast<Enum>(value);
}

// A count before a list: bounded by what is left, so that no size is believed before its bytes are there.
std::size_t counted(ByteReader& in, std::size_t smallest) {
  const std::size_t count = in.u32();
  if (count == 0 || count > in.left() / smallest) in.fail("a list claims " + std::to_string(count) + " entries");
  return count;
}

void take_values(ByteReader& in, Lane lane, LaneRecord& record, std::size_t columns) {
  record.values.resize(is_list(lane) ? counted(in, 8) : columns);
  for (double& value : record.values) value = in.f64();
}

LaneRecord take_lane(ByteReader& in, Lane lane, std::size_t columns) {
  LaneRecord record;
  const std::uint8_t flags = take_lane_head(in, record);
  if ((flags & stored_presence) != 0) record.presence = take_presence(in, columns);
  if ((flags & stored_digests) != 0) record.digests = take_digests(in, columns);
  if ((flags & stored_values) != 0) take_values(in, lane, record, columns);
  if ((flags & stored_items) != 0) record.items = take_items(in, counted(in, 34));
  if ((flags & stored_summaries) != 0) record.summaries = take_summaries(in, columns);
  if (stored_flags(record) != flags) in.fail("lane " + std::string(name(lane)) + " has flags for empty lists");
  return record;
}

}  // namespace

bool has_summaries(Lane lane) {
  return lane == Lane::gradients || lane == Lane::optimizer || lane == Lane::weights_out;
}

std::uint8_t stored_flags(const LaneRecord& record) {
  return static_cast<std::uint8_t>(
      (record.presence.empty() ? 0 : stored_presence) | (record.digests.empty() ? 0 : stored_digests) |
      (record.values.empty() ? 0 : stored_values) | (record.items.empty() ? 0 : stored_items) |
      (record.summaries.empty() ? 0 : stored_summaries));
}

void put_step_head(ByteWriter& out, const StepRecord& record) {
  const StepTiming& timing = record.timing;
  out.u64(record.step).u32(record.optimizer).u8(record.skipped ? 1 : 0);
  out.i64(timing.began_ns).i64(timing.duration_ns).i64(timing.waited_ns).i64(timing.capture_ns);
  out.u64(timing.peak_memory).u64(timing.peak_device_memory).u32(timing.rank).u32(timing.world_size);
}

void put_lane_head(ByteWriter& out, const LaneRecord& record) {
  out.u8(static_cast<std::uint8_t>(record.status)).u8(static_cast<std::uint8_t>(record.reason));
  out.u8(stored_flags(record)).digest(record.digest);
}

void put_presence(ByteWriter& out, std::span<const Presence> presence) {
  out.raw(presence.data(), presence.size());
}

void put_digests(ByteWriter& out, std::span<const Digest> digests) {
  out.raw(digests.data(), digests.size_bytes());
}

void put_values(ByteWriter& out, std::span<const double> values) {
  for (const double value : values) out.f64(value);
}

void put_host_reads(ByteWriter& out, std::span<const std::uint64_t> reads) {
  for (const std::uint64_t read : reads) out.u64(read);
}

void put_items(ByteWriter& out, std::span<const ListItem> items) {
  for (const ListItem& item : items) {
    out.u8(static_cast<std::uint8_t>(item.dtype)).u8(static_cast<std::uint8_t>(item.shape.size()));
    for (const std::int64_t size : item.shape) out.i64(size);
    out.digest(item.digest);
  }
}

void put_summary(ByteWriter& out, const Summary& summary) {
  out.f64(summary.statistics.norm).f64(summary.statistics.max_abs).f64(summary.statistics.mean);
  out.u64(summary.statistics.nonfinite);
  put_values(out, summary.sketch.p);
  out.u64(summary.syndrome.sum).u64(summary.syndrome.weighted);
}

void take_step_head(ByteReader& in, StepRecord& record) {
  record.step = in.u64();
  record.optimizer = in.u32();
  record.skipped = enumerator<std::uint8_t>(in, 1, "skipped") != 0;
  StepTiming& timing = record.timing;
  timing.began_ns = in.i64();
  timing.duration_ns = in.i64();
  timing.waited_ns = in.i64();
  timing.capture_ns = in.i64();
  timing.peak_memory = in.u64();
  timing.peak_device_memory = in.u64();
  timing.rank = in.u32();
  timing.world_size = in.u32();
}

std::uint8_t take_lane_head(ByteReader& in, LaneRecord& record) {
  record.status = enumerator<LaneStatus>(in, static_cast<std::uint8_t>(LaneStatus::given), "a lane's status");
  record.reason = enumerator<AbsentReason>(in, static_cast<std::uint8_t>(AbsentReason::nothing_there), "a reason");
  const std::uint8_t flags = enumerator<std::uint8_t>(in, stored_all, "a lane's flags");
  record.digest = in.digest();
  return flags;
}

std::vector<Presence> take_presence(ByteReader& in, std::size_t columns) {
  if (columns > in.left()) in.fail("ends inside a lane's presence");
  std::vector<Presence> presence(columns);
  for (Presence& entry : presence) {
    entry = enumerator<Presence>(in, static_cast<std::uint8_t>(Presence::undefined), "a presence");
  }
  return presence;
}

std::vector<Digest> take_digests(ByteReader& in, std::size_t columns) {
  const auto bytes = in.raw(columns * sizeof(Digest));
  std::vector<Digest> digests(columns);
  if (columns != 0) std::memcpy(digests.data(), bytes.data(), bytes.size());
  return digests;
}

std::vector<double> take_values(ByteReader& in, std::size_t count) {
  if (count > in.left() / 8) in.fail("ends inside a list of values");
  std::vector<double> values(count);
  for (double& value : values) value = in.f64();
  return values;
}

std::vector<std::uint64_t> take_host_reads(ByteReader& in, std::size_t count) {
  if (count > max_host_reads || count > in.left() / 8) in.fail("claims " + std::to_string(count) + " host reads");
  std::vector<std::uint64_t> reads(count);
  for (std::uint64_t& read : reads) read = in.u64();
  return reads;
}

std::vector<ListItem> take_items(ByteReader& in, std::size_t count) {
  std::vector<ListItem> items;
  for (std::size_t i = 0; i < count; ++i) {
    ListItem item;
    item.dtype = static_cast<DType>(in.u8());
    const std::uint8_t rank = in.u8();
    for (std::uint8_t axis = 0; axis < rank; ++axis) item.shape.push_back(in.i64());
    item.digest = in.digest();
    if (!valid_item(item)) in.fail("item " + std::to_string(i) + " of a list has no valid dtype and shape");
    items.push_back(std::move(item));
  }
  return items;
}

std::vector<Summary> take_summaries(ByteReader& in, std::size_t columns) {
  if (columns > in.left() / summary_bytes) in.fail("ends inside a lane's summaries");
  std::vector<Summary> summaries(columns);
  for (Summary& summary : summaries) {
    summary.statistics.norm = in.f64();
    summary.statistics.max_abs = in.f64();
    summary.statistics.mean = in.f64();
    summary.statistics.nonfinite = in.u64();
    for (double& projection : summary.sketch.p) projection = in.f64();
    summary.syndrome.sum = in.u64();
    summary.syndrome.weighted = in.u64();
  }
  return summaries;
}

bool has_details(Lane lane, const LaneRecord& record, std::size_t columns) {
  if (is_list(lane)) return !record.items.empty();
  const std::size_t entries = lane == Lane::hyper ? record.values.size() : record.digests.size();
  return record.presence.size() == columns && entries == columns;
}

bool fits(const StepRecord& record, const Layout& layout) {
  for (const Lane lane : all_lanes) {
    const LaneRecord& entry = record.of(lane);
    const bool lane_fits =
        is_list(lane) ? list_lane_fits(lane, entry) : named_lane_fits(lane, entry, layout.of(lane).size());
    if (!lane_fits) return false;
  }
  return record.host_reads.size() <= max_host_reads &&
         one_per_column(record.rng_out.size(), layout.of(Lane::rng).size());
}

std::vector<std::byte> encode(const StepRecord& record) {
  ByteWriter out;
  out.reserve(4096 + 64 * record.of(Lane::weights_in).digests.size() * 3);
  put_step_head(out, record);
  out.u32(static_cast<std::uint32_t>(record.rng_out.size()));
  put_digests(out, record.rng_out);
  out.u32(static_cast<std::uint32_t>(record.host_reads.size()));
  put_host_reads(out, record.host_reads);
  for (const Lane lane : all_lanes) put_lane(out, lane, record.of(lane));
  return out.take();
}

StepRecord decode_step(std::span<const std::byte> bytes, const Layout& layout) {
  ByteReader in(bytes, "a step's record");
  StepRecord record;
  take_step_head(in, record);
  const std::size_t generators = in.u32();
  if (generators > layout.of(Lane::rng).size()) in.fail("more generators than the table of tensors has");
  record.rng_out = take_digests(in, generators);
  record.host_reads = take_host_reads(in, in.u32());
  for (const Lane lane : all_lanes) record.of(lane) = take_lane(in, lane, layout.of(lane).size());
  if (in.left() != 0) in.fail(std::to_string(in.left()) + " bytes too many");
  if (!fits(record, layout)) in.fail("does not fit the table of tensors");
  return record;
}

}  // namespace samestep
