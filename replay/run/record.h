// The record of one step, the table of tensors it refers to, and the digests computed from it: tensor -> lane -> root
// -> chain. docs/format.md gives the byte layout of each encoding; the Python reader in tests/ follows that page alone.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/digest.h"
#include "kernels/dtype.h"
#include "kernels/summary.h"
#include "replay/run/lanes.h"

namespace samestep {

using Shape = std::vector<std::int64_t>;
inline constexpr std::size_t max_rank = 16;
inline constexpr std::size_t max_host_reads = 4096;  // of a step

// One column of a lane: a label for the entries below it. Names never enter a digest (except hyper's).
struct Column {
  std::string name;
  DType dtype = DType::f32;
  std::optional<Shape> shape;  // nullopt: a list of tensors or a varying shape; the entry's digest is list_digest()
  friend bool operator==(const Column&, const Column&) = default;
};

// A segment's table of tensors: the columns of every lane, in canonical order (optimizer, group, position; then
// buffers in module order). List lanes have none.
struct Layout {
  std::array<std::vector<Column>, lane_count> columns;
  std::vector<std::string> optimizers;  // class name of each, in the order of their numbers; e.g. "AdamW"

  [[nodiscard]] const std::vector<Column>& of(Lane lane) const { return columns[static_cast<std::size_t>(lane)]; }
  [[nodiscard]] std::vector<Column>& of(Lane lane) { return columns[static_cast<std::size_t>(lane)]; }
  friend bool operator==(const Layout&, const Layout&) = default;
};

enum class Presence : std::uint8_t {
  absent = 0,  // this step does not cover the column (another optimizer's, or frozen)
  present = 1,
  undefined = 2,  // covered, and there is no tensor: an undefined gradient
};

// An entry of a list lane.
struct ListItem {
  DType dtype = DType::f32;
  Shape shape;
  Digest digest;
  friend bool operator==(const ListItem&, const ListItem&) = default;
};

// One lane of one step. Vectors over columns are empty, or as long as the layout's columns of that lane.
struct LaneRecord {
  LaneStatus status = LaneStatus::absent;
  AbsentReason reason = AbsentReason::none;
  Digest digest;                   // of the lane; zero where absent
  std::vector<Presence> presence;  // named lanes
  std::vector<Digest> digests;     // named lanes except hyper; empty where detail was thinned
  std::vector<double> values;      // hyper: one a column. loss: one an item, the scalar (else its sum) as double
  std::vector<ListItem> items;     // list lanes
  std::vector<Summary> summaries;  // on schedule: gradients, weights_out, optimizer; else empty
};

// Beside the lanes; never enters a root.
struct StepTiming {
  std::int64_t began_ns = 0;      // UTC, nanoseconds since 1970, at F
  std::int64_t duration_ns = 0;   // from the previous step's O (or the session's start) to this step's O
  std::int64_t waited_ns = 0;     // of that, waiting for acknowledgements
  std::int64_t capture_ns = 0;    // of that, spent in digests and summaries
  std::uint64_t peak_memory = 0;  // bytes, resident, of the process so far
  std::uint64_t peak_device_memory = 0;
  std::uint32_t rank = 0;
  std::uint32_t world_size = 1;
};

struct StepRecord {
  std::uint64_t step = 0;
  std::uint32_t optimizer = 0;  // which one made the update
  bool skipped = false;         // a gradient scaler skipped it
  std::array<LaneRecord, lane_count> lanes;
  std::vector<Digest> rng_out;  // O: one per column of Lane::rng; outside the root
  // What the program read out of tensors into its own variables since the step before, in order: the 64 bits of each
  // number (a double, or an integer with its sign), for a replay that takes a script to an anchor without computing
  // (docs/python.md). Outside the root. At most max_host_reads.
  std::vector<std::uint64_t> host_reads;
  StepTiming timing;

  // Computed by the recorder.
  Digest root;
  Digest chain;      // BLAKE3(chain of the step before ‖ root)
  Digest log_chain;  // BLAKE3(log_chain before ‖ encode(record)): covers everything stored, thus every edit of it

  [[nodiscard]] const LaneRecord& of(Lane lane) const { return lanes[static_cast<std::size_t>(lane)]; }
  [[nodiscard]] LaneRecord& of(Lane lane) { return lanes[static_cast<std::size_t>(lane)]; }
};

// --- Digests ----------------------------------------------------------------------------------------------------

// Count, dtypes, shapes and digests of a list of tensors, in order.
[[nodiscard]] Digest list_digest(std::span<const ListItem> items);
// Of a lane: over its entries as `columns` describe them. REQUIRES details (digests, values, items) to be there.
[[nodiscard]] Digest lane_digest(Lane lane, const LaneRecord& record, std::span<const Column> columns);
// Of a step: over the lanes that in_root() names for its number. Uses each lane's `digest`.
[[nodiscard]] Digest root_digest(const StepRecord& record);
// The chain before step 0 is all zeros.
[[nodiscard]] Digest chain_digest(const Digest& previous, const Digest& root);
[[nodiscard]] Digest log_chain_digest(const Digest& previous, const StepRecord& record);

// --- Encodings --------------------------------------------------------------------------------------------------

// Everything of a record but root, chain and log_chain, as little-endian bytes. The same bytes travel in a step frame
// and enter the log chain.
[[nodiscard]] std::vector<std::byte> encode(const StepRecord& record);
// The inverse. Throws BrokenInput where the bytes are not exactly one record that fits `layout`.
[[nodiscard]] StepRecord decode_step(std::span<const std::byte> bytes, const Layout& layout);

// The layout as JSON text, as it travels and as it is stored.
[[nodiscard]] std::string encode(const Layout& layout);
[[nodiscard]] Layout decode_layout(std::string_view json);

// True where a lane of `columns` columns still has what lane_digest() needs: false where its detail was thinned. A list
// lane without items counts as thinned, for an empty list cannot be told from one that was dropped.
[[nodiscard]] bool has_details(Lane lane, const LaneRecord& record, std::size_t columns);

// True where `record`'s vectors have the lengths that `layout` calls for.
[[nodiscard]] bool fits(const StepRecord& record, const Layout& layout);

}  // namespace samestep
