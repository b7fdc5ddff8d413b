#include "replay/compare/entries.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace samestep::compare_detail {

std::vector<Entry> entries(const LaneRecord& record, const std::vector<Column>& columns) {
  std::vector<Entry> found;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    Entry entry{.column = &columns[i], .index = i};
    if (i < record.presence.size()) entry.presence = record.presence[i];
    if (entry.presence == Presence::absent) continue;
    if (i < record.digests.size()) entry.digest = record.digests[i];
    if (i < record.values.size()) entry.value = record.values[i];
    found.push_back(entry);
  }
  return found;
}

std::string describe(DType dtype, const Shape& shape) {
  return fmt::format("{} [{}]", name(dtype), fmt::join(shape, ", "));
}

std::string describe(const Column& column) {
  return column.shape ? describe(column.dtype, *column.shape) : fmt::format("{} of varying shape", name(column.dtype));
}

}  // namespace samestep::compare_detail
