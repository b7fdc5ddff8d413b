// A table of tensors, a line feed, a step's record. What is accepted must encode to the very same bytes, for the log
// chain digests the encoding.
#include <algorithm>
#include <cstdlib>

#include "replay/run/error.h"
#include "replay/run/record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::uint8_t* end = data + size;
  const std::uint8_t* line = std::find(data, end, '\n');
  const std::string_view table(reinterpret_cast<const char*>(data), static_cast<std::size_t>(line - data));
  const auto bytes = std::as_bytes(line == end ? std::span<const std::uint8_t>() : std::span(line + 1, end));
  try {
    const samestep::Layout layout = samestep::decode_layout(table);
    const samestep::StepRecord record = samestep::decode_step(bytes, layout);
    const std::vector<std::byte> again = samestep::encode(record);
    if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
    for (const samestep::Lane lane : samestep::all_lanes) {
      const samestep::LaneRecord& entry = record.of(lane);
      if (!samestep::has_details(lane, entry, layout.of(lane).size())) continue;
      static_cast<void>(samestep::lane_digest(lane, entry, layout.of(lane)));
    }
  } catch (const samestep::BrokenInput&) {
  }
  return 0;
}
