#include "replay/recorder/earlier_ranks.h"

#include <set>

#include "replay/run/run_reader.h"

namespace samestep {

namespace {

RankState take_up_rank(const std::filesystem::path& run, std::uint32_t rank, Manifest& manifest) {
  const RunReader reader(run, rank);
  const SegmentHeader next = reader.next_segment(reader.end_step());
  for (SegmentEntry& segment : manifest.segments) {
    // What a disk held that failed in the middle of a step was not known then.
    if (segment.rank != rank || segment.file.empty() || segment.chain) continue;
    if (segment.ended == "running") segment.ended = "lost";
    const RunReader::SegmentEnd end = reader.end_of_segment(segment.number);
    segment.steps = end.steps;
    segment.chain = end.chain;
    segment.log_chain = end.log_chain;
  }
  return {next.number, reader.end_step(), next.chain_before, next.log_chain_before, 0};
}

}  // namespace

std::map<std::uint32_t, RankState> take_up_earlier_ranks(const std::filesystem::path& run, Manifest& manifest) {
  std::map<std::uint32_t, RankState> ranks;
  std::set<std::uint32_t> known;
  for (const SegmentEntry& segment : manifest.segments) known.insert(segment.rank);
  for (const std::uint32_t rank : known) ranks[rank] = take_up_rank(run, rank, manifest);
  return ranks;
}

}  // namespace samestep
