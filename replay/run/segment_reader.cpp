#include "replay/run/segment_reader.h"

#include <algorithm>

#include "replay/run/error.h"
#include "replay/run/format.h"

namespace samestep {
namespace {

constexpr std::array<hsize_t, 1> digest_dims{32};

std::string at_step(const std::string& file, std::uint64_t step) {
  return file + ": step " + std::to_string(step);
}

void expect_zeros(ByteReader& in) {
  const auto rest = in.raw(in.left());
  const bool zeros = std::all_of(rest.begin(), rest.end(), [](std::byte byte) { return byte == std::byte{0}; });
  if (!zeros) in.fail("bytes after the last entry of a row are not zero");
}

}  // namespace

// --- Opening ----------------------------------------------------------------------------------------------------

SegmentReader::SegmentReader(const std::filesystem::path& file) : file_(file.string()), log_(OpenLog::open(file)) {
  read_header();
  // The row that is written last is looked at first: what it counts is whole in every other dataset.
  steps_ = log_->rows(rows_of_digests(format::log_chain)).dims[0];
  if (steps_ > format::max_step || header_.first_step > format::max_step) {
    throw BrokenInput(file_ + ": its steps are out of range");
  }
}

void SegmentReader::read_attribute(const char* name, const hdf5::Handle& type, std::span<const hsize_t> dims,
                                   void* out) const {
  hdf5::read_attribute(log_->file(), name, type.get(), dims, out, file_);
}

void SegmentReader::read_header() {
  const hdf5::Handle u8 = hdf5::type_u8();
  const hdf5::Handle u32 = hdf5::type_u32();
  const hdf5::Handle u64 = hdf5::type_u64();
  std::uint32_t version = 0;
  read_attribute(format::attribute_version, u32, {}, &version);
  if (version != format::version) {
    throw BrokenInput(file_ + ": written in format " + std::to_string(version) + ", this program reads format " +
                      std::to_string(format::version));
  }
  header_.run_id.resize(format::run_id_length);
  read_attribute(format::attribute_run, hdf5::type_text(format::run_id_length), {}, header_.run_id.data());
  read_attribute(format::attribute_rank, u32, {}, &header_.rank);
  read_attribute(format::attribute_segment, u32, {}, &header_.number);
  read_attribute(format::attribute_first_step, u64, {}, &header_.first_step);
  read_attribute(format::attribute_chain, u8, digest_dims, header_.chain_before.bytes.data());
  read_attribute(format::attribute_log_chain, u8, digest_dims, header_.log_chain_before.bytes.data());
}

std::uint64_t SegmentReader::end_of_file() const {
  return hdf5::end_of(log_->file(), file_);
}

std::string SegmentReader::layout_text() const {
  const std::string what = file_ + ": " + format::layout;
  const hdf5::Handle dataset = hdf5::open_dataset(log_->file(), format::layout, file_);
  const hdf5::Handle type = hdf5::type_u8();
  const std::vector<hsize_t> dims = hdf5::extent(dataset.get(), what);
  const bool fits = dims.size() == 1 && dims[0] > 0 && dims[0] <= format::max_layout_bytes &&
                    hdf5::has_type(dataset.get(), type.get(), what) && hdf5::chunk(dataset.get(), what) == dims;
  if (!fits) throw BrokenInput(what + " is not a table of tensors");
  std::string text(dims[0], '\0');
  hdf5::read_chunk(dataset.get(), 0, 1, std::as_writable_bytes(std::span(text)), what);
  return text;
}

const SegmentReader::Table& SegmentReader::table() const {
  if (!table_) table_ = read_table();
  return *table_;
}

SegmentReader::Table SegmentReader::read_table() const {
  const std::string text = layout_text();
  try {
    return {decode_layout(text), segment_digest(header_, text), read_slots()};
  } catch (const BrokenInput& error) {
    if (std::string_view(error.what()).starts_with(file_)) throw;
    throw BrokenInput(file_ + ": " + error.what());
  }
}

// The width of the list lanes is the writer's choice and stands in the shape alone.
std::size_t SegmentReader::read_slots() const {
  const std::string path = rows_of(Lane::loss, Kind::value, {}, 1).path;
  const hdf5::Handle dataset = hdf5::open_dataset(log_->file(), path, file_);
  const std::vector<hsize_t> dims = hdf5::extent(dataset.get(), file_);
  if (dims.size() != 2 || dims[1] == 0 || dims[1] > format::max_slots) {
    throw BrokenInput(file_ + ": " + path + " has another shape than the format says");
  }
  return dims[1];
}

// --- Rows -------------------------------------------------------------------------------------------------------

ByteReader SegmentReader::row(const Rows& rows, std::uint64_t step) const {
  const std::string what = at_step(file_, step) + ", " + rows.path;
  const OpenLog::Rowset& from = log_->rows(rows);
  const std::uint64_t number = step - header_.first_step;
  if (number >= from.dims[0]) throw BrokenInput(what + " ends early");
  buffer_.resize(rows.row_bytes());
  hdf5::read_chunk(from.dataset.get(), number, from.dims.size(), buffer_, what);
  return {buffer_, what};
}

Digest SegmentReader::digest_row(const char* path, std::uint64_t step) const {
  return row(rows_of_digests(path), step).digest();
}

Digest SegmentReader::root(std::uint64_t step) const {
  return digest_row(format::root, step);
}
Digest SegmentReader::chain(std::uint64_t step) const {
  return digest_row(format::chain, step);
}
Digest SegmentReader::log_chain(std::uint64_t step) const {
  return digest_row(format::log_chain, step);
}

Digest SegmentReader::stated_digest(std::uint64_t step, Lane lane) const {
  ByteReader bytes = row(rows_of_steps(), step);
  return decode_step_row(bytes.raw(step_row_bytes), at_step(file_, step)).record.of(lane).digest;
}

Digest SegmentReader::end_chain() const {
  return links_before(end_step()).chain;
}
Digest SegmentReader::end_log_chain() const {
  return links_before(end_step()).log_chain;
}

SegmentReader::Links SegmentReader::links_before(std::uint64_t step) const {
  if (step == first_step()) return {header_.chain_before, table().seed};
  return {chain(step - 1), log_chain(step - 1)};
}

SegmentReader::Scalars SegmentReader::scalars(std::uint64_t step) const {
  Scalars scalars;
  ByteReader bytes = row(rows_of_steps(), step);
  scalars.row = decode_step_row(bytes.raw(step_row_bytes), at_step(file_, step));
  const std::uint8_t flags = scalars.row.flags[static_cast<std::size_t>(Lane::loss)];
  if ((flags & stored_values) == 0) return scalars;
  ByteReader values = row(rows_of(Lane::loss, Kind::value, table().layout, table().slots), step);
  for (const double value : take_values(values, scalars.row.loss_values)) scalars.loss += value;
  return scalars;
}

// --- Records ----------------------------------------------------------------------------------------------------

void SegmentReader::read_list(Lane lane, const StepRow& from, LaneRecord& record) const {
  const std::uint8_t flags = from.flags[static_cast<std::size_t>(lane)];
  if ((flags & stored_items) != 0) {
    ByteReader in = row(rows_of(lane, Kind::items, table().layout, table().slots), from.record.step);
    record.items = take_items(in, lane == Lane::batch ? from.batch_items : from.loss_items);
    expect_zeros(in);
  }
  if ((flags & stored_values) != 0 && lane == Lane::loss) {
    ByteReader in = row(rows_of(lane, Kind::value, table().layout, table().slots), from.record.step);
    record.values = take_values(in, from.loss_values);
    expect_zeros(in);
  }
}

void SegmentReader::read_lane(Lane lane, const StepRow& from, LaneRecord& record) const {
  const std::uint8_t flags = from.flags[static_cast<std::size_t>(lane)];
  const std::size_t columns = table().layout.of(lane).size();
  const auto part = [&](std::uint8_t flag, Kind kind, const auto& take) {
    const std::vector<Kind> kinds = kinds_of(lane);
    if ((flags & flag) == 0 || columns == 0 || std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) return;
    ByteReader in = row(rows_of(lane, kind, table().layout, table().slots), from.record.step);
    take(in);
  };
  part(stored_presence, Kind::presence, [&](ByteReader& in) { record.presence = take_presence(in, columns); });
  part(stored_digests, Kind::digest, [&](ByteReader& in) { record.digests = take_digests(in, columns); });
  part(stored_values, Kind::value, [&](ByteReader& in) { record.values = take_values(in, columns); });
  part(stored_summaries, Kind::summary, [&](ByteReader& in) { record.summaries = take_summaries(in, columns); });
}

StepRecord SegmentReader::assemble(std::uint64_t step) const {
  ByteReader bytes = row(rows_of_steps(), step);
  StepRow from = decode_step_row(bytes.raw(step_row_bytes), at_step(file_, step));
  if (from.record.step != step) {
    throw TamperedInput(at_step(file_, step) + ": its row says that it is step " + std::to_string(from.record.step));
  }
  StepRecord record = from.record;
  for (const Lane lane : all_lanes) {
    if (is_list(lane))
      read_list(lane, from, record.of(lane));
    else
      read_lane(lane, from, record.of(lane));
    if (stored_flags(record.of(lane)) != from.flags[static_cast<std::size_t>(lane)]) {
      throw BrokenInput(at_step(file_, step) + ": lane " + std::string(name(lane)) +
                        " lacks what its row says is stored");
    }
  }
  const std::size_t generators = table().layout.of(Lane::rng).size();
  if (from.rng_out && generators > 0) {
    ByteReader in = row(rows_of_rng_out(table().layout), step);
    record.rng_out = take_digests(in, generators);
  }
  if (from.host_reads > 0) {
    ByteReader in = row(rows_of_host_reads(table().slots), step);
    record.host_reads = take_host_reads(in, from.host_reads);
    expect_zeros(in);
  }
  record.root = root(step);
  record.chain = chain(step);
  record.log_chain = log_chain(step);
  return record;
}

void SegmentReader::check_lane(Lane lane, const StepRecord& record) const {
  const LaneRecord& entry = record.of(lane);
  if (entry.status == LaneStatus::absent || !has_details(lane, entry, table().layout.of(lane).size())) return;
  const Digest found = lane_digest(lane, entry, table().layout.of(lane));
  if (found == entry.digest) return;
  throw TamperedInput(at_step(file_, record.step) + ", lane " + std::string(name(lane)) +
                      ": its entries have the digest " + found.hex() + ", the record says " + entry.digest.hex());
}

void SegmentReader::check_record(const StepRecord& record, const Links& before) const {
  const std::string where = at_step(file_, record.step);
  const auto expect = [&](const Digest& computed, const Digest& stored, const char* what) {
    if (computed == stored) return;
    throw TamperedInput(where + ": its contents give the " + what + " " + computed.hex() + ", stored is " +
                        stored.hex());
  };
  if (!fits(record, table().layout)) throw BrokenInput(where + " does not fit the segment's table of tensors");
  for (const Lane lane : all_lanes) check_lane(lane, record);
  expect(root_digest(record), record.root, "root");
  expect(chain_digest(before.chain, record.root), record.chain, "chain");
  expect(log_chain_digest(before.log_chain, record), record.log_chain, "log chain");
}

StepRecord SegmentReader::record(std::uint64_t step) const {
  StepRecord record = assemble(step);
  check_record(record, links_before(step));
  return record;
}

void SegmentReader::check_all() const {
  Links before = links_before(first_step());
  for (std::uint64_t step = first_step(); step < end_step(); ++step) {
    const StepRecord record = assemble(step);
    check_record(record, before);
    before = {record.chain, record.log_chain};
  }
}

}  // namespace samestep
