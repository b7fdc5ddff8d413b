#include "replay/run/run_reader.h"

#include <algorithm>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/run_files.h"
#include "replay/run/segment_reader.h"

namespace samestep {
namespace {

// A segment that holds steps, opened.
struct OpenSegment {
  SegmentEntry entry;
  SegmentReader log;
};

// Steps [begin, end) of the joined run, and the segment (by index) that gives them.
struct Piece {
  std::uint64_t begin = 0, end = 0;
  std::size_t segment = 0;
};

[[noreturn]] void tampered(const std::string& file, const std::string& what) {
  throw TamperedInput(file + ": " + what);
}

void check_header(const OpenSegment& segment, const Manifest& manifest) {
  const SegmentHeader& header = segment.log.header();
  const std::string& file = segment.log.file();
  if (header.run_id != manifest.run_id) {
    tampered(file, "belongs to another run (" + header.run_id + ", the manifest is of " + manifest.run_id + ")");
  }
  if (header.rank != segment.entry.rank || header.number != segment.entry.number) {
    tampered(file, "is segment " + std::to_string(header.number) + " of rank " + std::to_string(header.rank) +
                       ", the manifest says segment " + std::to_string(segment.entry.number) + " of rank " +
                       std::to_string(segment.entry.rank));
  }
  if (header.first_step != segment.entry.first_step) {
    tampered(file, "begins at step " + std::to_string(header.first_step) + ", the manifest says " +
                       std::to_string(segment.entry.first_step));
  }
}

// What the manifest knew when it was written must still be there; a segment that has ended has not grown since.
void check_end(const OpenSegment& segment) {
  const SegmentEntry& entry = segment.entry;
  const SegmentReader& log = segment.log;
  const bool ended = entry.digest.has_value();
  if (log.steps() < entry.steps || (ended && log.steps() != entry.steps)) {
    tampered(log.file(),
             "holds " + std::to_string(log.steps()) + " steps, the manifest says " + std::to_string(entry.steps));
  }
  if (entry.chain && *entry.chain != log.end_chain()) tampered(log.file(), "its last chain is not the manifest's");
  if (entry.log_chain && *entry.log_chain != log.end_log_chain()) {
    tampered(log.file(), "its last log chain is not the manifest's");
  }
}

void check_digest(const std::filesystem::path& file, const Digest& stated) {
  const Digest found = file_digest(file);
  if (found != stated) {
    tampered(file.string(), "edited after it was written: its bytes have the digest " + found.hex() +
                                ", the manifest says " + stated.hex());
  }
}

// Steps of `later` push out those of the line from its first step on. What the line holds beyond the end of `later`
// stays only where it follows on: where both were at one chain when `later` ended.
std::vector<Piece> joined(const std::vector<Piece>& line, const Piece& later, bool rest_follows) {
  std::vector<Piece> result;
  for (Piece piece : line) {
    if (piece.begin >= later.begin) continue;
    piece.end = std::min(piece.end, later.begin);
    result.push_back(piece);
  }
  result.push_back(later);
  for (Piece piece : line) {
    if (!rest_follows || piece.end <= later.end) continue;
    piece.begin = std::max(piece.begin, later.end);
    result.push_back(piece);
  }
  return result;
}

Digest chain_before(const SegmentReader& log, std::uint64_t step) {
  return step == log.first_step() ? log.header().chain_before : log.chain(step - 1);
}

// The first step of [begin, end) whose roots differ, or `end`. Where both come from one chain, equal chains mean equal
// roots up to there, and a binary search finds it.
std::uint64_t first_difference(const SegmentReader& a, const SegmentReader& b, std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return end;
  if (chain_before(a, begin) != chain_before(b, begin)) {
    while (begin < end && a.root(begin) == b.root(begin)) ++begin;
    return begin;
  }
  while (begin < end) {
    const std::uint64_t middle = begin + (end - begin) / 2;
    if (a.chain(middle) == b.chain(middle))
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

}  // namespace

struct RunReader::State {
  std::filesystem::path run;
  std::uint32_t rank = 0;
  Manifest manifest;
  std::vector<OpenSegment> segments;  // by number
  std::vector<Piece> line;            // without gaps, in order of steps
  Layout no_layout;                   // of a run without steps

  void open();
  void open_segments();
  void join(std::size_t index);
  [[nodiscard]] const Piece* piece_of(std::uint64_t step) const;
  [[nodiscard]] const SegmentReader& log_of(std::uint64_t step) const;
  [[nodiscard]] const OpenSegment& segment(std::uint32_t number) const;
  [[nodiscard]] Overlap overlap_of(const SegmentReader& earlier, const SegmentReader& later) const;
  [[nodiscard]] bool is_in_line(const AnchorEntry& anchor) const;
  void check_anchor_files() const;
};

void RunReader::State::open() {
  line.clear();
  segments.clear();  // first: HDF5 would share what it has cached of a file that is still open
  manifest = read_manifest(run);
  open_segments();
  for (std::size_t i = 0; i < segments.size(); ++i) join(i);
}

void RunReader::State::open_segments() {
  std::vector<SegmentEntry> entries;
  for (const SegmentEntry& entry : manifest.segments) {
    if (entry.rank == rank && !entry.file.empty()) entries.push_back(entry);
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  for (SegmentEntry& entry : entries) {
    if (!segments.empty() && segments.back().entry.number == entry.number) {
      tampered((run / format::manifest_file).string(), "names segment " + std::to_string(entry.number) + " twice");
    }
    const std::filesystem::path file = run_file(run, entry.file);
    segments.push_back({std::move(entry), SegmentReader(file)});
    check_header(segments.back(), manifest);
    check_end(segments.back());
  }
}

// Takes segment `index` into the line of steps: it must follow on the chain of the step before its first, and on the
// log chain of the segment before it.
void RunReader::State::join(std::size_t index) {
  const SegmentReader& log = segments[index].log;
  const std::uint64_t first = log.first_step();
  const Digest no_digest;
  const Digest log_chain = index == 0 ? no_digest : segments[index - 1].log.end_log_chain();
  if (log.header().log_chain_before != log_chain) tampered(log.file(), "does not follow on the segment before it");
  if (first == 0 && log.header().chain_before != no_digest) tampered(log.file(), "step 0 follows on another chain");
  if (!line.empty() && (first > line.back().end || first < line.front().begin)) {
    tampered(log.file(), "begins at step " + std::to_string(first) + "; the steps before it are " +
                             std::to_string(line.front().begin) + " to " + std::to_string(line.back().end));
  }
  if (!line.empty() && first > line.front().begin && log_of(first - 1).chain(first - 1) != log.header().chain_before) {
    tampered(log.file(), "does not follow on step " + std::to_string(first - 1));
  }
  const Piece* last = log.steps() == 0 ? nullptr : piece_of(log.end_step() - 1);
  const bool rest_follows = last != nullptr && log_of(log.end_step() - 1).chain(log.end_step() - 1) == log.end_chain();
  if (log.steps() > 0) line = joined(line, {first, log.end_step(), index}, rest_follows);
}

const Piece* RunReader::State::piece_of(std::uint64_t step) const {
  const auto holds = [&](const Piece& piece) { return piece.begin <= step && step < piece.end; };
  const auto found = std::find_if(line.begin(), line.end(), holds);
  return found == line.end() ? nullptr : &*found;
}

const SegmentReader& RunReader::State::log_of(std::uint64_t step) const {
  const Piece* piece = piece_of(step);
  if (piece == nullptr) throw BrokenInput(run.string() + ": holds no step " + std::to_string(step));
  return segments[piece->segment].log;
}

const OpenSegment& RunReader::State::segment(std::uint32_t number) const {
  for (const OpenSegment& one : segments) {
    if (one.entry.number == number) return one;
  }
  throw BrokenInput(run.string() + ": holds no segment " + std::to_string(number));
}

RunReader::Overlap RunReader::State::overlap_of(const SegmentReader& earlier, const SegmentReader& later) const {
  Overlap overlap;
  overlap.begin = std::max(earlier.first_step(), later.first_step());
  overlap.end = std::min(earlier.end_step(), later.end_step());
  overlap.earlier = earlier.header().number;
  overlap.later = later.header().number;
  const std::uint64_t step = first_difference(earlier, later, overlap.begin, overlap.end);
  if (step < overlap.end) overlap.first_difference = step;
  return overlap;
}

// Chains that agree at a step were made by the same updates.
bool RunReader::State::is_in_line(const AnchorEntry& anchor) const {
  const std::uint64_t last = anchor.step - 1;  // of step 0: beyond all
  const Piece* piece = piece_of(last);
  if (piece == nullptr) return false;
  const OpenSegment& here = segments[piece->segment];
  if (here.entry.number == anchor.segment) return true;
  const SegmentReader& log = segment(anchor.segment).log;
  return last >= log.first_step() && last < log.end_step() && log.chain(last) == here.log.chain(last);
}

void RunReader::State::check_anchor_files() const {
  for (const AnchorEntry& anchor : manifest.anchors) {
    if (anchor.rank != rank) continue;
    const std::filesystem::path file = run_file(run, anchor.file);
    const std::uintmax_t size = std::filesystem::file_size(file);
    if (size != anchor.bytes) {
      tampered(file.string(),
               "has " + std::to_string(size) + " bytes, the manifest says " + std::to_string(anchor.bytes));
    }
    check_digest(file, anchor.digest);
  }
}

RunReader::RunReader(const std::filesystem::path& run, std::uint32_t rank) : state_(std::make_unique<State>()) {
  state_->run = run;
  state_->rank = rank;
  state_->open();
}

RunReader::~RunReader() = default;
RunReader::RunReader(RunReader&&) noexcept = default;

const std::filesystem::path& RunReader::path() const {
  return state_->run;
}
std::uint32_t RunReader::rank() const {
  return state_->rank;
}
const Manifest& RunReader::manifest() const {
  return state_->manifest;
}

std::uint64_t RunReader::first_step() const {
  return state_->line.empty() ? 0 : state_->line.front().begin;
}
std::uint64_t RunReader::end_step() const {
  return state_->line.empty() ? 0 : state_->line.back().end;
}

Digest RunReader::chain(std::uint64_t step) const {
  return state_->log_of(step).chain(step);
}
StepRecord RunReader::record(std::uint64_t step) const {
  return state_->log_of(step).record(step);
}

const Layout& RunReader::layout(std::uint64_t step) const {
  return state_->line.empty() ? state_->no_layout : state_->log_of(step).layout();
}

std::vector<RunReader::Point> RunReader::points(std::uint64_t begin, std::uint64_t end) const {
  std::vector<Point> points;
  for (const Piece& piece : state_->line) {
    const SegmentReader& log = state_->segments[piece.segment].log;
    for (std::uint64_t step = std::max(begin, piece.begin); step < std::min(end, piece.end); ++step) {
      const SegmentReader::Scalars scalars = log.scalars(step);
      points.push_back({step, scalars.loss, scalars.row.loss_values > 0, scalars.row.record.timing});
    }
  }
  return points;
}

void RunReader::refresh() {
  state_->open();
}

std::vector<RunReader::Overlap> RunReader::overlaps() const {
  std::vector<Overlap> list;
  for (std::size_t later = 1; later < state_->segments.size(); ++later) {
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      const Overlap overlap = state_->overlap_of(state_->segments[earlier].log, state_->segments[later].log);
      if (overlap.begin < overlap.end) list.push_back(overlap);
    }
  }
  return list;
}

StepRecord RunReader::record_in_segment(std::uint32_t segment, std::uint64_t step) const {
  const SegmentReader& log = state_->segment(segment).log;
  if (step < log.first_step() || step >= log.end_step()) {
    throw BrokenInput(log.file() + ": holds no step " + std::to_string(step));
  }
  return log.record(step);
}

const Layout& RunReader::layout_of_segment(std::uint32_t segment) const {
  return state_->segment(segment).log.layout();
}

RunReader::SegmentEnd RunReader::end_of_segment(std::uint32_t segment) const {
  const SegmentReader& log = state_->segment(segment).log;
  return {log.steps(), log.end_chain(), log.end_log_chain()};
}

SegmentHeader RunReader::next_segment(std::uint64_t first_step) const {
  SegmentHeader header;
  header.run_id = state_->manifest.run_id;
  header.rank = state_->rank;
  header.first_step = first_step;
  for (const SegmentEntry& entry : state_->manifest.segments) {
    if (entry.rank == header.rank) header.number = std::max(header.number, entry.number + 1);
  }
  // A recorder that was killed between creating a log and naming it left a file without an entry.
  while (std::filesystem::exists(state_->run / format::log_file(header.rank, header.number))) ++header.number;
  if (!state_->segments.empty()) header.log_chain_before = state_->segments.back().log.end_log_chain();
  if (first_step > this->first_step()) {
    header.chain_before = chain(first_step - 1);
  } else if (!state_->segments.empty()) {
    header.chain_before = state_->segments.front().log.header().chain_before;
  }
  return header;
}

bool RunReader::is_in_line(const AnchorEntry& anchor) const {
  return anchor.rank == state_->rank && state_->is_in_line(anchor);
}

const AnchorEntry* RunReader::anchor_before(std::uint64_t step) const {
  const AnchorEntry* nearest = nullptr;
  for (const AnchorEntry& anchor : state_->manifest.anchors) {
    if (anchor.step > step || (nearest != nullptr && anchor.step <= nearest->step)) continue;
    if (is_in_line(anchor)) nearest = &anchor;
  }
  return nearest;
}

std::optional<StepRecord> RunReader::record_before(const AnchorEntry& anchor) const {
  const SegmentReader& log = state_->segment(anchor.segment).log;
  if (anchor.step <= log.first_step() || anchor.step > log.end_step()) return std::nullopt;
  return log.record(anchor.step - 1);
}

void RunReader::check_integrity() const {
  for (const OpenSegment& segment : state_->segments) {
    if (segment.entry.digest) check_digest(segment.log.file(), *segment.entry.digest);
    segment.log.check_all();
  }
  state_->check_anchor_files();
}

}  // namespace samestep
