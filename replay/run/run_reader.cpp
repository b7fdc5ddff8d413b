#include "replay/run/run_reader.h"

#include <algorithm>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/run_files.h"
#include "replay/run/segment_list.h"

namespace samestep {
namespace {

// Steps [begin, end) of the joined run, and the segment (by index) that gives them.
struct Piece {
  std::uint64_t begin = 0, end = 0;
  std::size_t segment = 0;
};

[[noreturn]] void tampered(const std::string& file, const std::string& what) {
  throw TamperedInput(file + ": " + what);
}

void check_digest(const std::filesystem::path& file, const Digest& stated) {
  const Digest found = file_digest(file);
  if (found != stated) {
    tampered(file.string(), "edited after it was written: its bytes have the digest " + found.hex() +
                                ", the manifest says " + stated.hex());
  }
}

// The manifest states no size of a log. One that somebody has made a thousand times as long takes hours to read, holes
// and all, for a digest that cannot fit; a little more than HDF5 knows of is there where a full disk ended the log.
void check_length(const std::filesystem::path& file, std::uint64_t end) {
  constexpr std::uint64_t more = std::uint64_t{64} << 20;
  const std::uintmax_t size = std::filesystem::file_size(file);
  if (size / 2 > end + more)
    tampered(file.string(), "edited after it was written: it has " + std::to_string(size) +
                                " bytes, what was written to it ends at " + std::to_string(end));
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
  std::optional<SegmentList> segments;
  std::vector<Piece> line;  // without gaps, in order of steps
  Layout no_layout;         // of a run without steps

  void open();
  void join(std::size_t index);
  [[nodiscard]] const Piece* piece_of(std::uint64_t step) const;
  [[nodiscard]] std::size_t segment_of(std::uint64_t step) const;
  [[nodiscard]] const SegmentReader& log_of(std::uint64_t step) const { return segments->log(segment_of(step)); }
  [[nodiscard]] std::optional<Overlap> overlap_of(std::size_t earlier, std::size_t later) const;
  [[nodiscard]] bool is_in_line(const AnchorEntry& anchor) const;
  void check_anchor_files() const;
};

void RunReader::State::open() {
  line.clear();
  manifest = read_manifest(run);
  segments.emplace(run, rank, manifest);
  for (std::size_t i = 0; i < segments->size(); ++i) join(i);
}

// Takes segment `index` into the line of steps. That it follows on the chains before it is checked when it is opened.
void RunReader::State::join(std::size_t index) {
  const std::uint64_t first = segments->first_step(index);
  const std::uint64_t end = segments->end_step(index);
  if (!line.empty() && (first > line.back().end || first < line.front().begin)) {
    tampered(segments->file(index).string(), "begins at step " + std::to_string(first) + "; the steps before it are " +
                                                 std::to_string(line.front().begin) + " to " +
                                                 std::to_string(line.back().end));
  }
  if (!line.empty() && first > line.front().begin) segments->follows(index, piece_of(first - 1)->segment);
  if (end == first) return;
  const Piece* last = piece_of(end - 1);
  const bool rest_follows =
      last != nullptr && segments->log(last->segment).chain(end - 1) == segments->end_chain(index);
  line = joined(line, {first, end, index}, rest_follows);
}

const Piece* RunReader::State::piece_of(std::uint64_t step) const {
  const auto found = std::ranges::upper_bound(line, step, {}, &Piece::end);
  return found == line.end() || step < found->begin ? nullptr : &*found;
}

std::size_t RunReader::State::segment_of(std::uint64_t step) const {
  const Piece* piece = piece_of(step);
  if (piece == nullptr) throw BrokenInput(run.string() + ": holds no step " + std::to_string(step));
  return piece->segment;
}

std::optional<RunReader::Overlap> RunReader::State::overlap_of(std::size_t earlier, std::size_t later) const {
  Overlap overlap;
  overlap.begin = std::max(segments->first_step(earlier), segments->first_step(later));
  overlap.end = std::min(segments->end_step(earlier), segments->end_step(later));
  overlap.earlier = segments->entry(earlier).number;
  overlap.later = segments->entry(later).number;
  if (overlap.begin >= overlap.end) return std::nullopt;
  const SegmentReader& a = segments->log(earlier);
  const std::uint64_t step = first_difference(a, segments->log(later), overlap.begin, overlap.end);
  if (step < overlap.end) overlap.first_difference = step;
  return overlap;
}

// Chains that agree at a step were made by the same updates.
bool RunReader::State::is_in_line(const AnchorEntry& anchor) const {
  const std::uint64_t last = anchor.step - 1;  // of step 0: beyond all
  const Piece* piece = piece_of(last);
  if (piece == nullptr) return false;
  const std::size_t its = segments->index_of(anchor.segment);
  if (its == piece->segment) return true;
  if (last < segments->first_step(its) || last >= segments->end_step(its)) return false;
  return segments->log(its).chain(last) == segments->log(piece->segment).chain(last);
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

Digest RunReader::stated_digest(std::uint64_t step, Lane lane) const {
  return state_->log_of(step).stated_digest(step, lane);
}

const Layout& RunReader::layout(std::uint64_t step) const {
  return state_->line.empty() ? state_->no_layout : state_->segments->layout(state_->segment_of(step));
}

const SegmentEntry& RunReader::segment_of(std::uint64_t step) const {
  return state_->segments->entry(state_->segment_of(step));
}

std::vector<RunReader::Point> RunReader::points(std::uint64_t begin, std::uint64_t end) const {
  std::vector<Point> points;
  for (const Piece& piece : state_->line) {
    for (std::uint64_t step = std::max(begin, piece.begin); step < std::min(end, piece.end); ++step) {
      const SegmentReader::Scalars scalars = state_->segments->log(piece.segment).scalars(step);
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
  for (std::size_t later = 1; later < state_->segments->size(); ++later) {
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      if (auto overlap = state_->overlap_of(earlier, later)) list.push_back(*overlap);
    }
  }
  return list;
}

StepRecord RunReader::record_in_segment(std::uint32_t segment, std::uint64_t step) const {
  const SegmentReader& log = state_->segments->log(state_->segments->index_of(segment));
  if (step < log.first_step() || step >= log.end_step()) {
    throw BrokenInput(log.file() + ": holds no step " + std::to_string(step));
  }
  return log.record(step);
}

const Layout& RunReader::layout_of_segment(std::uint32_t segment) const {
  return state_->segments->layout(state_->segments->index_of(segment));
}

RunReader::SegmentEnd RunReader::end_of_segment(std::uint32_t segment) const {
  const SegmentReader& log = state_->segments->log(state_->segments->index_of(segment));
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
  const SegmentList& segments = *state_->segments;
  if (segments.size() > 0) header.log_chain_before = segments.log(segments.size() - 1).end_log_chain();
  if (first_step > this->first_step()) {
    header.chain_before = chain(first_step - 1);
  } else if (segments.size() > 0) {
    header.chain_before = segments.log(0).header().chain_before;
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
  const SegmentReader& log = state_->segments->log(state_->segments->index_of(anchor.segment));
  if (anchor.step <= log.first_step() || anchor.step > log.end_step()) return std::nullopt;
  return log.record(anchor.step - 1);
}

void RunReader::check_integrity() const {
  const SegmentList& segments = *state_->segments;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const SegmentReader& log = segments.log(i);  // a log of another run is told by its header
    if (segments.entry(i).digest) {
      check_length(segments.file(i), log.end_of_file());
      check_digest(segments.file(i), *segments.entry(i).digest);
    }
    log.check_all();
  }
  state_->check_anchor_files();
}

}  // namespace samestep
