#include "replay/checkpoint/anchor_check.h"

#include "replay/checkpoint/anchor.h"
#include "replay/run/error.h"
#include "replay/run/run_files.h"

namespace samestep {
namespace {

void check_one(const RunReader& run, const AnchorEntry& entry, std::uint32_t rank) {
  const std::filesystem::path file = run_file(run.path(), entry.file);
  const MappedFile mapped(file);
  const AnchorFile anchor = parse_anchor(mapped.bytes(), file.string());
  if (anchor.step != entry.step || anchor.rank != rank) {
    throw TamperedInput(file.string() + ": is the anchor of step " + std::to_string(anchor.step) + " of rank " +
                        std::to_string(anchor.rank) + ", the manifest says step " + std::to_string(entry.step) +
                        " of rank " + std::to_string(rank));
  }
  const auto record = run.record_before(entry);
  if (record) check_anchor(mapped.bytes(), file.string(), *record, run.layout_of_segment(entry.segment));
}

}  // namespace

void check_anchors(const RunReader& run) {
  for (const AnchorEntry& entry : run.manifest().anchors) {
    if (entry.rank == run.rank()) check_one(run, entry, entry.rank);
  }
}

}  // namespace samestep
