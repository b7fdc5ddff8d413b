// The entries of a named lane as a comparison reads them: what a step covers, in canonical order.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "replay/run/record.h"

namespace samestep::compare_detail {

struct Entry {
  const Column* column = nullptr;  // owned by the layout
  std::size_t index = 0;           // of the column
  Presence presence = Presence::present;
  std::optional<Digest> digest{};  // nullopt where detail was thinned
  double value = 0;                // hyper
};

// Columns that the step covers. Those it does not (another optimizer's, frozen) are left out, so that a layout with one
// more, unused column compares equal.
[[nodiscard]] std::vector<Entry> entries(const LaneRecord& record, const std::vector<Column>& columns);

// "F32 [64, 128]"
[[nodiscard]] std::string describe(DType dtype, const Shape& shape);
[[nodiscard]] std::string describe(const Column& column);

}  // namespace samestep::compare_detail
