// The tensors of a run as `inspect --tensors` lists them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "replay/run/run_reader.h"

namespace samestep::cli {

// One tensor of the lane weights_out, with the statistics of the last step that has them. A step covers the tensors of
// its own optimizer only, so with several optimizers the rows are of several steps.
struct TensorRow {
  std::string name;
  std::string type;                   // "F32 [32, 8]"
  std::optional<std::uint64_t> step;  // after which they were taken; nullopt: no step looked at has any
  Statistics statistics;              // meaningless without `step`
};

// In the order of the last step's table of tensors; empty for a run without steps. Reads at most some hundred records.
[[nodiscard]] std::vector<TensorRow> tensor_rows(const RunReader& run);
[[nodiscard]] nlohmann::json to_json(const TensorRow& row);
// One line. The step is told where it is not `usual`.
[[nodiscard]] std::string text_of(const TensorRow& row, std::optional<std::uint64_t> usual);

}  // namespace samestep::cli
