// Reads one segment's log, finished or still growing (by another process: HDF5 allows no reader beside the writer
// inside one process). Nothing in the file is believed: types, shapes and storage are compared with what the format
// says before anything is allocated, and a record is given out only if its contents give its lanes, root, chain and log
// chain.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replay/run/open_log.h"
#include "replay/run/segment_format.h"

namespace samestep {

class SegmentReader {
 public:
  // Throws BrokenInput where the file is not a log of this format; where its table of tensors is not, the first call
  // that needs it does.
  explicit SegmentReader(const std::filesystem::path& file);

  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] const SegmentHeader& header() const { return header_; }
  // Read when it is first needed: a search in the chains of many segments needs none.
  [[nodiscard]] const Layout& layout() const { return table().layout; }
  [[nodiscard]] std::uint64_t first_step() const { return header_.first_step; }
  [[nodiscard]] std::uint64_t end_step() const { return header_.first_step + steps_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  // Where the file ends as HDF5 wrote it.
  [[nodiscard]] std::uint64_t end_of_file() const;

  // REQUIRES first_step() <= step < end_step() for each of these. One row of 32 bytes.
  [[nodiscard]] Digest root(std::uint64_t step) const;
  [[nodiscard]] Digest chain(std::uint64_t step) const;
  [[nodiscard]] Digest log_chain(std::uint64_t step) const;
  // A lane's digest as the step's row states it, unchecked; zeros where the lane is absent. One row of 397 bytes.
  [[nodiscard]] Digest stated_digest(std::uint64_t step, Lane lane) const;
  // After the last step; before the first the header's chain, or the digest of header and table.
  [[nodiscard]] Digest end_chain() const;
  [[nodiscard]] Digest end_log_chain() const;

  // The whole record, checked. Throws TamperedInput naming file, step and lane.
  [[nodiscard]] StepRecord record(std::uint64_t step) const;
  // Every record in turn, the digest of each carried on to the next.
  void check_all() const;

  // Scalars of a step and the sum of its losses; cheap, and not checked against the root.
  struct Scalars {
    StepRow row;
    double loss = 0;
  };
  [[nodiscard]] Scalars scalars(std::uint64_t step) const;

 private:
  struct Links {  // what a record must follow on
    Digest chain, log_chain;
  };

  void read_header();
  struct Table {
    Layout layout;
    Digest seed;            // of the log chain
    std::size_t slots = 0;  // of the list lanes
  };
  [[nodiscard]] const Table& table() const;
  [[nodiscard]] Table read_table() const;
  [[nodiscard]] std::size_t read_slots() const;
  [[nodiscard]] std::string layout_text() const;
  void read_attribute(const char* name, const hdf5::Handle& type, std::span<const hsize_t> dims, void* out) const;
  [[nodiscard]] ByteReader row(const Rows& rows, std::uint64_t step) const;
  [[nodiscard]] Digest digest_row(const char* path, std::uint64_t step) const;
  [[nodiscard]] StepRecord assemble(std::uint64_t step) const;
  void read_lane(Lane lane, const StepRow& row, LaneRecord& record) const;
  void read_list(Lane lane, const StepRow& row, LaneRecord& record) const;
  void check_record(const StepRecord& record, const Links& before) const;
  void check_lane(Lane lane, const StepRecord& record) const;
  [[nodiscard]] Links links_before(std::uint64_t step) const;

  std::string file_;
  SegmentHeader header_;
  mutable std::optional<Table> table_;
  std::uint64_t steps_ = 0;
  mutable std::vector<std::byte> buffer_;  // of row(), one at a time
  std::shared_ptr<OpenLog> log_;
};

}  // namespace samestep
