// The pieces of a step's encoding (record.h), one by one: a frame and the log chain take them in a row, the HDF5 log
// stores each in a dataset of its own. Little-endian; docs/format.md gives every byte.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "replay/run/bytes.h"
#include "replay/run/record.h"

namespace samestep {

// Which of a lane's vectors are there: one bit each, set exactly where the vector is not empty.
inline constexpr std::uint8_t stored_presence = 1;
inline constexpr std::uint8_t stored_digests = 2;
inline constexpr std::uint8_t stored_values = 4;
inline constexpr std::uint8_t stored_items = 8;
inline constexpr std::uint8_t stored_summaries = 16;
inline constexpr std::uint8_t stored_all = 31;
[[nodiscard]] std::uint8_t stored_flags(const LaneRecord& record);

// The lanes whose entries have statistics, sketches and syndromes.
[[nodiscard]] bool has_summaries(Lane lane);

inline constexpr std::size_t step_head_bytes = 69;                                         // put_step_head
inline constexpr std::size_t lane_head_bytes = 35;                                         // put_lane_head
inline constexpr std::size_t step_row_bytes = step_head_bytes + 9 * lane_head_bytes + 17;  // a row of /steps
inline constexpr std::size_t summary_bytes = 112;  // put_summary: 32 statistics, 64 sketch, 16 syndrome

void put_step_head(ByteWriter& out, const StepRecord& record);
void put_lane_head(ByteWriter& out, const LaneRecord& record);
void put_presence(ByteWriter& out, std::span<const Presence> presence);
void put_digests(ByteWriter& out, std::span<const Digest> digests);
void put_values(ByteWriter& out, std::span<const double> values);
void put_host_reads(ByteWriter& out, std::span<const std::uint64_t> reads);
void put_items(ByteWriter& out, std::span<const ListItem> items);
void put_summary(ByteWriter& out, const Summary& summary);

// The inverses. Each throws BrokenInput for values outside the enumerations, sizes that are no sizes, and early ends.
void take_step_head(ByteReader& in, StepRecord& record);
[[nodiscard]] std::uint8_t take_lane_head(ByteReader& in, LaneRecord& record);  // returns the flags
[[nodiscard]] std::vector<Presence> take_presence(ByteReader& in, std::size_t columns);
[[nodiscard]] std::vector<Digest> take_digests(ByteReader& in, std::size_t columns);
[[nodiscard]] std::vector<double> take_values(ByteReader& in, std::size_t count);
[[nodiscard]] std::vector<std::uint64_t> take_host_reads(ByteReader& in, std::size_t count);
[[nodiscard]] std::vector<ListItem> take_items(ByteReader& in, std::size_t count);
[[nodiscard]] std::vector<Summary> take_summaries(ByteReader& in, std::size_t columns);

}  // namespace samestep
