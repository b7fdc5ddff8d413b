// The segments of one rank, in order of their numbers. A segment whose end the manifest states is opened when it is
// first read, so that the first divergent step of a million is found in the few logs that a search touches; whatever is
// read from a segment is read after its header, its end and its links to the segments before it were checked.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "replay/run/manifest.h"
#include "replay/run/segment_reader.h"

namespace samestep {

class SegmentList {
 public:
  // Those of `manifest` that hold steps. Throws BrokenInput or TamperedInput where a file is missing or a number is
  // named twice.
  SegmentList(const std::filesystem::path& run, std::uint32_t rank, const Manifest& manifest);

  [[nodiscard]] std::size_t size() const { return segments_.size(); }
  [[nodiscard]] const SegmentEntry& entry(std::size_t i) const { return segments_.at(i).entry; }
  [[nodiscard]] const std::filesystem::path& file(std::size_t i) const { return segments_.at(i).file; }
  // Throws BrokenInput where no segment has that number.
  [[nodiscard]] std::size_t index_of(std::uint32_t number) const;

  // As the manifest states them, else as the log has them.
  [[nodiscard]] std::uint64_t first_step(std::size_t i) const { return entry(i).first_step; }
  [[nodiscard]] std::uint64_t end_step(std::size_t i) const;
  [[nodiscard]] Digest end_chain(std::size_t i) const;
  [[nodiscard]] Digest end_log_chain(std::size_t i) const;

  // The step before the first of segment `i` is that of segment `before`: to be checked when `i` is opened.
  void follows(std::size_t i, std::size_t before) { segments_.at(i).before = before; }

  // Opened and checked; valid until a dozen others have been asked for. Throws BrokenInput or TamperedInput.
  [[nodiscard]] const SegmentReader& log(std::size_t i) const;
  // Its table of tensors; valid as long as this list.
  [[nodiscard]] const Layout& layout(std::size_t i) const;

 private:
  struct Segment {
    SegmentEntry entry;
    std::filesystem::path file;
    std::optional<std::size_t> before;
    std::optional<SegmentReader> reader;
    bool linked = false;  // the links of the open reader were checked
    std::uint64_t used = 0;
    const Layout* layout = nullptr;
  };
  [[nodiscard]] static bool is_stated(const SegmentEntry& entry);
  [[nodiscard]] const SegmentReader& opened(std::size_t i) const;
  void check_links(std::size_t i) const;
  void close_the_oldest() const;

  std::string run_id_;
  mutable std::vector<Segment> segments_;
  mutable std::deque<Layout> layouts_;  // each once: a long run has few tables and many segments
  mutable std::uint64_t uses_ = 0;
};

}  // namespace samestep
