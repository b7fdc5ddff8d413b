// What a segment's log holds: its header, and the list of row datasets that a table of tensors calls for. Writer and
// reader both work from this list, so they cannot disagree about a path, a type or a shape.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "replay/run/hdf5.h"
#include "replay/run/record.h"
#include "replay/run/record_codec.h"
#include "replay/run/segment_writer.h"

namespace samestep {

enum class Element : std::uint8_t { u8, f64, step_row, summary };
[[nodiscard]] hdf5::Handle type_of(Element element);
[[nodiscard]] std::size_t bytes_of(Element element);

// A dataset with one row a step: `row` are the dimensions after the first.
struct Rows {
  std::string path;
  Element element = Element::u8;
  std::vector<hsize_t> row;
  [[nodiscard]] std::size_t row_bytes() const;
};

// The kinds of row that a lane (or the segment as a whole) can have.
enum class Kind : std::uint8_t { presence, digest, value, summary, items };

// The dataset of one lane and kind; a row of no elements means that there is none (no columns).
[[nodiscard]] Rows rows_of(Lane lane, Kind kind, const Layout& layout, std::size_t list_slots);
[[nodiscard]] Rows rows_of_rng_out(const Layout& layout);
[[nodiscard]] Rows rows_of_host_reads(std::size_t list_slots);
[[nodiscard]] Rows rows_of_steps();
[[nodiscard]] Rows rows_of_digests(const char* path);  // /root, /chain, /log_chain
// The kinds that a lane has.
[[nodiscard]] std::vector<Kind> kinds_of(Lane lane);

// A row of /steps as bytes, and back; the counts say how much of the packed lists is meant.
struct StepRow {
  StepRecord record;                             // scalars, timing, statuses and digests of lanes; no vectors
  std::array<std::uint8_t, lane_count> flags{};  // which vectors are stored
  bool rng_out = false;
  std::uint32_t batch_items = 0, loss_items = 0, loss_values = 0, host_reads = 0;
};
[[nodiscard]] std::vector<std::byte> encode_step_row(const StepRecord& record);
[[nodiscard]] StepRow decode_step_row(std::span<const std::byte> bytes, const std::string& origin);

// What a segment's log chain starts from: its header and table, so that an edit of either breaks the first link.
[[nodiscard]] Digest segment_digest(const SegmentHeader& header, std::string_view layout_text);

}  // namespace samestep
