#include "replay/run/segment_format.h"

#include "replay/run/format.h"

namespace samestep {
namespace {

using namespace std::string_view_literals;
constexpr auto segment_domain = "samestep segment 1\0"sv;

std::string path_in(std::string_view group, const char* dataset) {
  return "/" + std::string(group) + "/" + dataset;
}

}  // namespace

hdf5::Handle type_of(Element element) {
  switch (element) {
    case Element::u8:
      return hdf5::type_u8();
    case Element::f64:
      return hdf5::type_f64();
    case Element::step_row:
      return hdf5::type_step_row();
    case Element::summary:
      return hdf5::type_summary();
  }
  return {};
}

std::size_t bytes_of(Element element) {
  switch (element) {
    case Element::u8:
      return 1;
    case Element::f64:
      return 8;
    case Element::step_row:
      return step_row_bytes;
    case Element::summary:
      return summary_bytes;
  }
  return 0;
}

std::size_t Rows::row_bytes() const {
  std::size_t size = bytes_of(element);
  for (const hsize_t dim : row) size *= dim;
  return size;
}

Rows rows_of(Lane lane, Kind kind, const Layout& layout, std::size_t list_slots) {
  const hsize_t columns = layout.of(lane).size();
  switch (kind) {
    case Kind::presence:
      return {path_in(name(lane), format::presence), Element::u8, {columns}};
    case Kind::digest:
      return {path_in(name(lane), format::digest), Element::u8, {columns, 32}};
    case Kind::value:
      return {path_in(name(lane), format::value), Element::f64, {is_list(lane) ? list_slots : columns}};
    case Kind::summary:
      return {path_in(name(lane), format::summary), Element::summary, {columns}};
    case Kind::items:
      return {path_in(name(lane), format::items), Element::u8, {list_slots * format::slot_bytes}};
  }
  return {};
}

Rows rows_of_rng_out(const Layout& layout) {
  return {path_in(format::rng_out, format::digest), Element::u8, {layout.of(Lane::rng).size(), 32}};
}

Rows rows_of_host_reads(std::size_t list_slots) {
  return {format::host_reads, Element::u8, {list_slots * format::slot_bytes}};
}

Rows rows_of_steps() {
  return {format::steps, Element::step_row, {}};
}

Rows rows_of_digests(const char* path) {
  return {path, Element::u8, {32}};
}

std::vector<Kind> kinds_of(Lane lane) {
  if (lane == Lane::batch) return {Kind::items};
  if (lane == Lane::loss) return {Kind::items, Kind::value};
  if (lane == Lane::hyper) return {Kind::presence, Kind::value};
  if (has_summaries(lane)) return {Kind::presence, Kind::digest, Kind::summary};
  return {Kind::presence, Kind::digest};
}

std::vector<std::byte> encode_step_row(const StepRecord& record) {
  ByteWriter out;
  out.reserve(step_row_bytes);
  put_step_head(out, record);
  for (const Lane lane : all_lanes) put_lane_head(out, record.of(lane));
  out.u8(record.rng_out.empty() ? 0 : 1);
  out.u32(static_cast<std::uint32_t>(record.of(Lane::batch).items.size()));
  out.u32(static_cast<std::uint32_t>(record.of(Lane::loss).items.size()));
  out.u32(static_cast<std::uint32_t>(record.of(Lane::loss).values.size()));
  out.u32(static_cast<std::uint32_t>(record.host_reads.size()));
  return out.take();
}

StepRow decode_step_row(std::span<const std::byte> bytes, const std::string& origin) {
  ByteReader in(bytes, origin);
  StepRow row;
  take_step_head(in, row.record);
  for (const Lane lane : all_lanes) row.flags[static_cast<std::size_t>(lane)] = take_lane_head(in, row.record.of(lane));
  const std::uint8_t rng_out = in.u8();
  if (rng_out > 1) in.fail("rng_out_stored is neither 0 nor 1");
  row.rng_out = rng_out != 0;
  row.batch_items = in.u32();
  row.loss_items = in.u32();
  row.loss_values = in.u32();
  row.host_reads = in.u32();
  return row;
}

Digest segment_digest(const SegmentHeader& header, std::string_view layout_text) {
  ByteWriter out;
  out.text(segment_domain).u32(format::version).text(header.run_id).u32(header.rank).u32(header.number);
  out.u64(header.first_step).digest(header.chain_before).digest(header.log_chain_before);
  out.digest(digest(layout_text));
  return digest(std::span<const std::byte>(out.bytes()));
}

}  // namespace samestep
