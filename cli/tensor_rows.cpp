#include "cli/tensor_rows.h"

#include <fmt/format.h>

#include <map>
#include <set>

namespace samestep::cli {
namespace {

// Of the steps that may hold statistics, so many of the last are read, and all of those where they are dense: an
// optimizer whose turn never falls on the schedule has its last ones there.
constexpr std::size_t most_records = 64;

std::string type_of(const Column& column) {
  std::string text{name(column.dtype)};
  if (!column.shape) return text;
  text += " [";
  for (std::size_t i = 0; i < column.shape->size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : ", ", (*column.shape)[i]);
  return text + "]";
}

// Last first. Besides the schedule, steps before an anchor have statistics.
std::vector<std::uint64_t> steps_to_read(const RunReader& run) {
  std::set<std::uint64_t> before_anchors;
  for (const AnchorEntry& anchor : run.manifest().anchors)
    if (anchor.rank == run.rank() && anchor.step > 0) before_anchors.insert(anchor.step - 1);
  std::vector<std::uint64_t> steps;
  for (std::uint64_t step = run.end_step(); step-- > run.first_step();) {
    if (steps.size() >= most_records && step >= dense_summaries) step = std::max(dense_summaries, run.first_step());
    if (step < dense_summaries || summaries_due(step) || before_anchors.contains(step)) steps.push_back(step);
  }
  return steps;
}

using Unknown = std::map<std::string, TensorRow*>;

void take_statistics(Unknown& unknown, const RunReader& run, std::uint64_t step) {
  const StepRecord record = run.record(step);
  const LaneRecord& weights = record.of(Lane::weights_out);
  const auto& columns = run.layout(step).of(Lane::weights_out);
  for (std::size_t i = 0; i < std::min(columns.size(), weights.summaries.size()); ++i) {
    if (weights.presence[i] != Presence::present) continue;
    const auto found = unknown.find(columns[i].name);
    if (found == unknown.end()) continue;
    found->second->step = step;
    found->second->statistics = weights.summaries[i].statistics;
    unknown.erase(found);
  }
}

}  // namespace

std::vector<TensorRow> tensor_rows(const RunReader& run) {
  std::vector<TensorRow> rows;
  if (run.end_step() == run.first_step()) return rows;
  for (const Column& column : run.layout(run.end_step() - 1).of(Lane::weights_out))
    rows.push_back({column.name, type_of(column), std::nullopt, {}});
  Unknown unknown;
  for (TensorRow& row : rows) unknown[row.name] = &row;
  for (const std::uint64_t step : steps_to_read(run)) {
    if (unknown.empty()) break;
    take_statistics(unknown, run, step);
  }
  return rows;
}

nlohmann::json to_json(const TensorRow& row) {
  nlohmann::json json{{"name", row.name}, {"type", row.type}};
  for (const char* key : {"step", "norm", "max_abs", "nonfinite"}) json[key] = nullptr;
  if (!row.step) return json;
  json["step"] = *row.step;
  json["norm"] = row.statistics.norm;
  json["max_abs"] = row.statistics.max_abs;
  json["nonfinite"] = row.statistics.nonfinite;
  return json;
}

std::string text_of(const TensorRow& row, std::optional<std::uint64_t> usual) {
  std::string text = fmt::format("  {:<44} {:<22}", row.name, row.type);
  if (!row.step) return text + fmt::format(" norm {:<11} max {}", "-", "-");
  text += fmt::format(" norm {:<11.5g} max {:<11.5g}", row.statistics.norm, row.statistics.max_abs);
  if (row.statistics.nonfinite > 0) text += fmt::format(" {} not finite", row.statistics.nonfinite);
  if (row.step != usual) text += fmt::format(" after step {}", *row.step);
  return text;
}

}  // namespace samestep::cli
