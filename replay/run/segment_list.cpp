#include "replay/run/segment_list.h"

#include <algorithm>

#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/run_files.h"

namespace samestep {
namespace {

// An open log holds a descriptor and HDF5's caches.
constexpr std::ptrdiff_t most_open = 16;

[[noreturn]] void tampered(const std::string& file, const std::string& what) {
  throw TamperedInput(file + ": " + what);
}

void check_header(const SegmentEntry& entry, const SegmentReader& log, const std::string& run_id) {
  const SegmentHeader& header = log.header();
  if (header.run_id != run_id) {
    tampered(log.file(), "belongs to another run (" + header.run_id + ", the manifest is of " + run_id + ")");
  }
  if (header.rank != entry.rank || header.number != entry.number) {
    tampered(log.file(), "is segment " + std::to_string(header.number) + " of rank " + std::to_string(header.rank) +
                             ", the manifest says segment " + std::to_string(entry.number) + " of rank " +
                             std::to_string(entry.rank));
  }
  if (header.first_step != entry.first_step) {
    tampered(log.file(), "begins at step " + std::to_string(header.first_step) + ", the manifest says " +
                             std::to_string(entry.first_step));
  }
}

// What the manifest knew when it was written must still be there; a segment that has ended has not grown since.
void check_end(const SegmentEntry& entry, const SegmentReader& log) {
  const bool ended = entry.digest.has_value() || entry.chain.has_value();
  if (log.steps() < entry.steps || (ended && log.steps() != entry.steps)) {
    tampered(log.file(),
             "holds " + std::to_string(log.steps()) + " steps, the manifest says " + std::to_string(entry.steps));
  }
  if (entry.chain && *entry.chain != log.end_chain()) tampered(log.file(), "its last chain is not the manifest's");
  if (entry.log_chain && *entry.log_chain != log.end_log_chain()) {
    tampered(log.file(), "its last log chain is not the manifest's");
  }
}

}  // namespace

SegmentList::SegmentList(const std::filesystem::path& run, std::uint32_t rank, const Manifest& manifest)
    : run_id_(manifest.run_id) {
  for (const SegmentEntry& entry : manifest.segments) {
    if (entry.rank == rank && !entry.file.empty()) segments_.emplace_back().entry = entry;
  }
  std::ranges::sort(segments_, {}, [](const Segment& one) { return one.entry.number; });
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (i > 0 && entry(i - 1).number == entry(i).number) {
      tampered((run / format::manifest_file).string(), "names segment " + std::to_string(entry(i).number) + " twice");
    }
    segments_[i].file = run_file(run, entry(i).file);
  }
}

std::size_t SegmentList::index_of(std::uint32_t number) const {
  const auto found =
      std::ranges::lower_bound(segments_, number, {}, [](const Segment& one) { return one.entry.number; });
  if (found != segments_.end() && found->entry.number == number)
    return static_cast<std::size_t>(found - segments_.begin());
  throw BrokenInput("the run holds no segment " + std::to_string(number));
}

// The manifest's word is enough to find the place of a step; it is held against the log when that is opened.
bool SegmentList::is_stated(const SegmentEntry& entry) {
  return entry.chain && entry.log_chain;
}

std::uint64_t SegmentList::end_step(std::size_t i) const {
  return is_stated(entry(i)) ? entry(i).first_step + entry(i).steps : opened(i).end_step();
}
Digest SegmentList::end_chain(std::size_t i) const {
  return is_stated(entry(i)) ? *entry(i).chain : opened(i).end_chain();
}
Digest SegmentList::end_log_chain(std::size_t i) const {
  return is_stated(entry(i)) ? *entry(i).log_chain : opened(i).end_log_chain();
}

const SegmentReader& SegmentList::opened(std::size_t i) const {
  Segment& segment = segments_.at(i);
  segment.used = ++uses_;
  if (segment.reader) return *segment.reader;
  close_the_oldest();
  SegmentReader reader(segment.file);
  check_header(segment.entry, reader, run_id_);
  check_end(segment.entry, reader);
  return segment.reader.emplace(std::move(reader));
}

// Only of those that the manifest states: one that still grows would come back with more steps.
void SegmentList::close_the_oldest() const {
  const auto may_close = [](const Segment& one) { return one.reader && is_stated(one.entry); };
  if (std::ranges::count_if(segments_, may_close) < most_open) return;
  Segment* oldest = nullptr;
  for (Segment& one : segments_)
    if (may_close(one) && (oldest == nullptr || one.used < oldest->used)) oldest = &one;
  oldest->reader.reset();
  oldest->linked = false;
}

// It must follow on the chain of the step before its first, and on the log chain of the segment before it.
void SegmentList::check_links(std::size_t i) const {
  const SegmentReader& log = opened(i);
  const Digest no_digest;
  if (log.header().log_chain_before != (i == 0 ? no_digest : end_log_chain(i - 1))) {
    tampered(log.file(), "does not follow on the segment before it");
  }
  const std::uint64_t first = log.first_step();
  if (first == 0 && log.header().chain_before != no_digest) tampered(log.file(), "step 0 follows on another chain");
  const auto before = segments_[i].before;
  if (!before) return;
  const Digest chain = end_step(*before) == first ? end_chain(*before) : opened(*before).chain(first - 1);
  if (chain != log.header().chain_before) {
    tampered(log.file(), "does not follow on step " + std::to_string(first - 1));
  }
}

const SegmentReader& SegmentList::log(std::size_t i) const {
  const SegmentReader& log = opened(i);
  if (!segments_[i].linked) check_links(i);
  segments_[i].linked = true;
  return log;
}

const Layout& SegmentList::layout(std::size_t i) const {
  if (segments_.at(i).layout != nullptr) return *segments_[i].layout;
  const Layout& found = log(i).layout();
  auto known = std::ranges::find(layouts_, found);
  if (known == layouts_.end()) known = layouts_.insert(layouts_.end(), found);
  return *(segments_[i].layout = &*known);
}

}  // namespace samestep
