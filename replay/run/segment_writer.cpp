#include "replay/run/segment_writer.h"

#include <algorithm>
#include <map>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/segment_format.h"

namespace samestep {
namespace {

// How far ahead of the last row a dataset is extended at once, so that its header need not be rewritten every step.
// Rows without a chunk take no room. /log_chain alone is extended row by row: it counts the committed steps.
constexpr hsize_t rows_ahead = 4096;

// One dataset of rows, open for writing.
class RowDataset {
 public:
  RowDataset(hid_t file, Rows rows, hsize_t ahead)
      : rows_(std::move(rows)),
        ahead_(ahead),
        type_(type_of(rows_.element)),
        dataset_(hdf5::create_rows(file, rows_.path, type_.get(), rows_.row)) {
    counts_.push_back(1);
    counts_.insert(counts_.end(), rows_.row.begin(), rows_.row.end());
  }

  [[nodiscard]] std::size_t row_bytes() const { return rows_.row_bytes(); }

  // Writes row `row`; `bytes` may be shorter than a row and are then followed by zeros.
  void put(hsize_t row, std::vector<std::byte> bytes) {
    bytes.resize(row_bytes());
    reach(row + 1);
    hdf5::write_chunk(dataset_.get(), row, counts_.size(), std::move(bytes), "cannot write " + rows_.path);
  }

 private:
  void reach(hsize_t rows) {
    if (rows <= extent_) return;
    std::vector<hsize_t> dims = counts_;
    dims[0] = rows + ahead_;
    hdf5::check(H5Dset_extent(dataset_.get(), dims.data()), "cannot extend " + rows_.path);
    extent_ = dims[0];
  }

  Rows rows_;
  hsize_t ahead_;
  hsize_t extent_ = 0;
  std::vector<hsize_t> counts_;  // of one row
  hdf5::Handle type_, dataset_;
};

void write_header(hid_t file, const SegmentHeader& header) {
  const hdf5::Handle u8 = hdf5::type_u8();
  const hdf5::Handle u32 = hdf5::type_u32();
  const hdf5::Handle u64 = hdf5::type_u64();
  const hdf5::Handle text = hdf5::type_text(format::run_id_length);
  constexpr std::array<hsize_t, 1> digest_dims{32};
  hdf5::write_attribute(file, format::attribute_version, u32.get(), {}, &format::version);
  hdf5::write_attribute(file, format::attribute_run, text.get(), {}, header.run_id.data());
  hdf5::write_attribute(file, format::attribute_rank, u32.get(), {}, &header.rank);
  hdf5::write_attribute(file, format::attribute_segment, u32.get(), {}, &header.number);
  hdf5::write_attribute(file, format::attribute_first_step, u64.get(), {}, &header.first_step);
  hdf5::write_attribute(file, format::attribute_chain, u8.get(), digest_dims, header.chain_before.bytes.data());
  hdf5::write_attribute(file, format::attribute_log_chain, u8.get(), digest_dims, header.log_chain_before.bytes.data());
}

std::size_t packed_size(const LaneRecord& record) {
  std::size_t size = 0;
  for (const ListItem& item : record.items) size += 34 + 8 * item.shape.size();
  return size;
}

bool lists_fit(const StepRecord& record, std::size_t slots) {
  const std::size_t room = slots * format::slot_bytes;
  return packed_size(record.of(Lane::batch)) <= room && packed_size(record.of(Lane::loss)) <= room &&
         record.of(Lane::loss).values.size() <= slots && 8 * record.host_reads.size() <= room;
}

// Off the schedule of detail only the lanes' digests and the curves (loss, hyper-parameters) are kept.
void thin(StepRecord& record) {
  for (const Lane lane : all_lanes) {
    LaneRecord& entry = record.of(lane);
    if (lane != Lane::hyper) entry.presence.clear();
    entry.digests.clear();
    entry.items.clear();
    entry.summaries.clear();
  }
  record.rng_out.clear();
}

// Named state, and the optimizer's off its period, are captured at anchors and segment starts: what an anchor is
// checked against is never thinned.
bool is_milestone(const StepRecord& record) {
  return record.of(Lane::state).status == LaneStatus::captured ||
         (record.of(Lane::optimizer).status == LaneStatus::captured && !in_root(Lane::optimizer, record.step));
}

}  // namespace

struct SegmentWriter::State {
  std::string file;
  SegmentHeader header;
  Layout layout;
  std::size_t slots = 0;
  std::uint64_t detail_every = 1;
  std::uint64_t sync_every = 64;
  std::uint64_t steps = 0;
  Digest chain, log_chain;
  bool failed = false;
  bool counted = true;
  // Handles of datasets must close before the file's: members are destroyed in reverse order.
  hdf5::Handle h5;
  std::map<std::string, RowDataset> datasets;

  void create(const std::filesystem::path& path);
  void discard();
  void add(const Rows& rows, hsize_t ahead = rows_ahead);
  void put(const Rows& rows, std::vector<std::byte> bytes);
  void put_lane(Lane lane, const LaneRecord& record);
  void put_record(const StepRecord& record);
  void commit(const StepRecord& record);
  template <class Write>
  void attempt(const StepRecord& record, Write&& write);
  void seal_step(StepRecord& record) const;
  [[nodiscard]] bool detail_due(const StepRecord& record, Detail detail) const;
};

void SegmentWriter::State::add(const Rows& rows, hsize_t ahead) {
  if (rows.row_bytes() == 0) return;  // no columns: nothing will be written
  datasets.try_emplace(rows.path, h5.get(), rows, ahead);
}

void SegmentWriter::State::create(const std::filesystem::path& path) {
  h5 = hdf5::create_file(path);
  write_header(h5.get(), header);
  const std::string text = encode(layout);
  hdf5::write_bytes(h5.get(), format::layout, std::as_bytes(std::span(text)));
  for (const Lane lane : all_lanes) {
    static_cast<void>(hdf5::create_group(h5.get(), "/" + std::string(name(lane))));
    for (const Kind kind : kinds_of(lane)) add(rows_of(lane, kind, layout, slots));
  }
  static_cast<void>(hdf5::create_group(h5.get(), std::string("/") + format::rng_out));
  add(rows_of_rng_out(layout));
  add(rows_of_host_reads(slots));
  add(rows_of_steps());
  add(rows_of_digests(format::root));
  add(rows_of_digests(format::chain));
  add(rows_of_digests(format::log_chain), 0);
  hdf5::flush(h5.get(), file);
  hdf5::start_swmr(h5.get(), file);
  chain = header.chain_before;
  log_chain = segment_digest(header, text);
}

// Of a file that could not even be begun nothing is left. One that was there before is not ours.
void SegmentWriter::State::discard() {
  if (!h5) return;
  hdf5::abandon(h5.get());
  datasets.clear();
  h5.reset();
  std::error_code error;
  std::filesystem::remove(file, error);
}

void SegmentWriter::State::put(const Rows& rows, std::vector<std::byte> bytes) {
  datasets.at(rows.path).put(steps, std::move(bytes));
}

void SegmentWriter::State::put_lane(Lane lane, const LaneRecord& record) {
  const auto put_if = [&](bool there, Kind kind, const auto& encode_part) {
    if (!there) return;
    ByteWriter out;
    encode_part(out);
    put(rows_of(lane, kind, layout, slots), out.take());
  };
  put_if(!record.presence.empty(), Kind::presence, [&](ByteWriter& out) { put_presence(out, record.presence); });
  put_if(!record.digests.empty(), Kind::digest, [&](ByteWriter& out) { put_digests(out, record.digests); });
  put_if(!record.values.empty(), Kind::value, [&](ByteWriter& out) { put_values(out, record.values); });
  put_if(!record.items.empty(), Kind::items, [&](ByteWriter& out) { put_items(out, record.items); });
  put_if(!record.summaries.empty(), Kind::summary, [&](ByteWriter& out) {
    for (const Summary& summary : record.summaries) put_summary(out, summary);
  });
}

void SegmentWriter::State::put_record(const StepRecord& record) {
  for (const Lane lane : all_lanes) put_lane(lane, record.of(lane));
  ByteWriter generators;
  put_digests(generators, record.rng_out);
  if (!record.rng_out.empty()) put(rows_of_rng_out(layout), generators.take());
  ByteWriter reads;
  put_host_reads(reads, record.host_reads);
  if (!record.host_reads.empty()) put(rows_of_host_reads(slots), reads.take());
  put(rows_of_steps(), encode_step_row(record));
  put(rows_of_digests(format::root), ByteWriter().digest(record.root).take());
  put(rows_of_digests(format::chain), ByteWriter().digest(record.chain).take());
}

// A write that failed leaves the file to be abandoned as it lies.
template <class Write>
void SegmentWriter::State::attempt(const StepRecord& record, Write&& write) {
  try {
    write();
    hdf5::flush(h5.get(), file);
  } catch (const BrokenInput& error) {
    hdf5::abandon(h5.get());
    throw BrokenInput(file + ": step " + std::to_string(record.step) + " could not be stored: " + error.what());
  }
}

// The row that counts goes last and after a flush of its own, so that whoever sees it sees the whole step: a flush
// writes the metadata of different datasets in no particular order.
void SegmentWriter::State::commit(const StepRecord& record) {
  attempt(record, [&] { put_record(record); });
  counted = false;
  attempt(record, [&] { put(rows_of_digests(format::log_chain), ByteWriter().digest(record.log_chain).take()); });
  counted = true;
  steps += 1;
  chain = record.chain;
  log_chain = record.log_chain;
}

void SegmentWriter::State::seal_step(StepRecord& record) const {
  record.root = root_digest(record);
  record.chain = chain_digest(chain, record.root);
  record.log_chain = log_chain_digest(log_chain, record);
}

bool SegmentWriter::State::detail_due(const StepRecord& record, Detail detail) const {
  return detail == Detail::keep || steps == 0 || record.step < dense_summaries || record.step % detail_every == 0 ||
         is_milestone(record);
}

SegmentWriter::SegmentWriter(const std::filesystem::path& file, const SegmentHeader& header, const Layout& layout,
                             std::size_t list_slots, std::uint64_t detail_every, std::uint64_t sync_every)
    : state_(std::make_unique<State>()) {
  if (header.run_id.size() != format::run_id_length) throw BrokenInput("a run's id has 32 digits: " + header.run_id);
  state_->file = file.string();
  state_->header = header;
  state_->layout = layout;
  state_->slots = std::clamp<std::size_t>(list_slots, 1, format::max_slots);
  state_->detail_every = std::max<std::uint64_t>(detail_every, 1);
  state_->sync_every = sync_every;
  try {
    state_->create(file);
  } catch (...) {
    state_->discard();
    throw;
  }
}

SegmentWriter::~SegmentWriter() = default;  // handles close themselves
SegmentWriter::SegmentWriter(SegmentWriter&&) noexcept = default;
SegmentWriter& SegmentWriter::operator=(SegmentWriter&&) noexcept = default;

void SegmentWriter::append(StepRecord& record, Detail detail) {
  State& state = *state_;
  if (state.failed || !state.h5) throw BrokenInput(state.file + " takes no further step after a failure or its end");
  if (record.step != state.header.first_step + state.steps || !fits(record, state.layout) || !has_room_for(record)) {
    throw BrokenInput(state.file + ": step " + std::to_string(record.step) + " does not follow or does not fit");
  }
  if (!state.detail_due(record, detail)) thin(record);
  state.seal_step(record);
  state.failed = true;  // until the step is on disk
  state.commit(record);
  if (state.sync_every != 0 && state.steps % state.sync_every == 0) hdf5::sync_to_disk(state.h5.get(), state.file);
  state.failed = false;
}

bool SegmentWriter::has_room_for(const StepRecord& record) const {
  return state_->steps < format::max_segment_steps && lists_fit(record, state_->slots);
}

bool SegmentWriter::any_has_room_for(const StepRecord& record) {
  return lists_fit(record, format::max_slots);
}

void SegmentWriter::close() {
  State& state = *state_;
  if (!state.h5) return;
  state.datasets.clear();
  if (!state.failed) hdf5::sync_to_disk(state.h5.get(), state.file);
  hdf5::check(state.h5.reset(), "cannot close " + state.file);
}

bool SegmentWriter::is_counted() const {
  return state_->counted;
}

std::uint64_t SegmentWriter::steps() const {
  return state_->steps;
}

std::uint64_t SegmentWriter::bytes() const {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(state_->file, error);
  return error ? 0 : size;
}

const Digest& SegmentWriter::chain() const {
  return state_->chain;
}
const Digest& SegmentWriter::log_chain() const {
  return state_->log_chain;
}

}  // namespace samestep
