// Reads a run directory, finished or still growing. Joins the segments of a rank into one sequence of steps. Everything
// on disk is hostile until checked: sizes are bounded, ranges checked, digests recomputed.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "replay/run/manifest.h"
#include "replay/run/segment_writer.h"
#include "replay/run/step_source.h"

namespace samestep {

class RunReader : public StepSource {
 public:
  // Opens `run` for one rank. A log whose end the manifest states is opened, and its header, end and links to those
  // before it are checked, when something is first read from it; check_integrity() leaves none out. So this and every
  // call that reads throw BrokenInput (no such run, no manifest, version, damaged) or TamperedInput.
  explicit RunReader(const std::filesystem::path& run, std::uint32_t rank = 0);
  ~RunReader() override;
  RunReader(RunReader&&) noexcept;

  [[nodiscard]] const std::filesystem::path& path() const;
  [[nodiscard]] std::uint32_t rank() const;
  [[nodiscard]] const Manifest& manifest() const;
  [[nodiscard]] std::uint64_t first_step() const override;
  [[nodiscard]] std::uint64_t end_step() const override;
  [[nodiscard]] Digest chain(std::uint64_t step) const override;
  [[nodiscard]] StepRecord record(std::uint64_t step) const override;
  [[nodiscard]] const Layout& layout(std::uint64_t step) const override;
  // A lane's digest as the step's row states it; zeros where it is absent. Cheap, and not checked: record() is.
  [[nodiscard]] Digest stated_digest(std::uint64_t step, Lane lane) const;
  // The entry of the segment that gives a step. Throws BrokenInput where the run does not hold the step.
  [[nodiscard]] const SegmentEntry& segment_of(std::uint64_t step) const;
  // Scalars of the steps [begin, end), cheaply, for curves: step, loss (sum of the items), timing.
  struct Point {
    std::uint64_t step = 0;
    double loss = 0;
    bool has_loss = false;
    StepTiming timing;
  };
  [[nodiscard]] std::vector<Point> points(std::uint64_t begin, std::uint64_t end) const;
  // Takes up what a living writer has added since.
  void refresh();

  // A step that two segments hold: a resume went back to an earlier one. record() gives the later segment's.
  struct Overlap {
    std::uint64_t begin = 0, end = 0;               // steps that both hold
    std::uint32_t earlier = 0, later = 0;           // numbers of the segments
    std::optional<std::uint64_t> first_difference;  // first step whose roots differ; nullopt: the resume was exact
  };
  [[nodiscard]] std::vector<Overlap> overlaps() const;
  // A step as one segment holds it, checked; for overlaps. Throws BrokenInput where that segment does not hold it.
  [[nodiscard]] StepRecord record_in_segment(std::uint32_t segment, std::uint64_t step) const;
  [[nodiscard]] const Layout& layout_of_segment(std::uint32_t segment) const;

  // What one segment alone holds, whatever of it later segments have pushed out.
  struct SegmentEnd {
    std::uint64_t steps = 0;
    Digest chain, log_chain;
  };
  [[nodiscard]] SegmentEnd end_of_segment(std::uint32_t segment) const;

  // What the header of a segment that goes on at `first_step` must say: its number, and the chains it takes up.
  // REQUIRES first_step <= end_step().
  [[nodiscard]] SegmentHeader next_segment(std::uint64_t first_step) const;

  // True where an anchor's state belongs to this line of steps: it was cut in the segment that gives step S - 1 here,
  // or in one whose chain is the same there.
  [[nodiscard]] bool is_in_line(const AnchorEntry& anchor) const;
  // The nearest anchor of the line at or before `step`; nullptr where there is none.
  [[nodiscard]] const AnchorEntry* anchor_before(std::uint64_t step) const;
  // What an anchor is checked against: step S - 1 as the anchor's own segment holds it, for a resume that was not exact
  // pushes that step out of the line and keeps the anchor. nullopt where the segment does not hold it.
  [[nodiscard]] std::optional<StepRecord> record_before(const AnchorEntry& anchor) const;

  // Reads everything: files against the manifest's digests where a segment has ended, every record's contents against
  // its root, chain and log chain, anchors against their digests. `same` may only be said after it (and after
  // check_anchors() of replay/checkpoint/anchor_check.h, which compares the anchors with the log tensor by tensor).
  // Throws TamperedInput naming file, step, lane and what was expected.
  void check_integrity() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// How a segment ended, as far as can be told now: what the manifest says, but "lost" for one that it calls "running"
// although the recorder that wrote it is no longer alive on this host.
[[nodiscard]] std::string effective_ending(const Manifest& manifest, const SegmentEntry& segment);

}  // namespace samestep
