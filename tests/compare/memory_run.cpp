#include "tests/compare/memory_run.h"

#include <string>

namespace samestep::testing {
namespace {

Digest digest_of(std::string_view what, std::uint64_t step, std::size_t index, std::uint64_t seed) {
  return digest(std::string(what) + ":" + std::to_string(step) + ":" + std::to_string(index) + ":" +
                std::to_string(seed));
}

Summary summary_of(std::uint64_t step, std::size_t index) {
  Summary summary;
  for (std::size_t k = 0; k < Sketch::size; ++k) {
    summary.sketch.p[k] = (k % 2 == 0 ? 1.0 : -1.0) * static_cast<double>(1 + step % 7 + index + k);
  }
  summary.statistics.norm = 10;
  summary.statistics.max_abs = 2;
  return summary;
}

bool captured(Lane lane, std::uint64_t step) {
  return in_root(lane, step);
}

void fill_named(StepRecord& record, Lane lane, const Layout& layout, std::uint64_t seed) {
  LaneRecord& to = record.of(lane);
  const std::size_t count = layout.of(lane).size();
  to.presence.assign(count, Presence::present);
  // What a step leaves is what the next one finds.
  const bool in = lane == Lane::weights_in;
  const std::string_view what = in || lane == Lane::weights_out ? "weights" : name(lane);
  const std::uint64_t moment = in ? record.step : record.step + (lane == Lane::weights_out ? 1 : 0);
  for (std::size_t i = 0; i < count; ++i) {
    if (lane == Lane::hyper) {
      to.values.push_back(0.125 * static_cast<double>(i + 1));
    } else {
      to.digests.push_back(digest_of(what, moment, i, seed));
    }
    if ((lane == Lane::gradients || lane == Lane::weights_out) && summaries_due(record.step)) {
      to.summaries.push_back(summary_of(record.step, i));
    }
  }
}

void fill_list(StepRecord& record, Lane lane, std::uint64_t seed) {
  LaneRecord& to = record.of(lane);
  const std::size_t count = lane == Lane::batch ? 2 : 1;
  for (std::size_t i = 0; i < count; ++i) {
    to.items.push_back({lane == Lane::batch ? DType::i64 : DType::f32, lane == Lane::batch ? Shape{4, 16} : Shape{},
                        digest_of(name(lane), record.step, i, seed)});
  }
  if (lane == Lane::loss) to.values.push_back(3.0 / (1.0 + static_cast<double>(record.step)));
}

}  // namespace

Layout small_layout() {
  Layout layout;
  const std::vector<Column> weights{{"body.weight", DType::f32, Shape{3, 2}}, {"head.weight", DType::f32, Shape{4}}};
  layout.of(Lane::weights_in) = weights;
  layout.of(Lane::weights_in).push_back({"norm.mean", DType::f32, Shape{4}});
  layout.of(Lane::weights_out) = layout.of(Lane::weights_in);
  layout.of(Lane::gradients) = weights;
  layout.of(Lane::rng) = {{"cpu", DType::u8, Shape{5056}}};
  layout.of(Lane::hyper) = {{"0.lr", DType::f64, Shape{}}, {"0.weight_decay", DType::f64, Shape{}}};
  layout.of(Lane::optimizer) = {{"body.weight.exp_avg", DType::f32, Shape{3, 2}},
                                {"head.weight.exp_avg", DType::f32, Shape{4}}};
  layout.optimizers = {"AdamW"};
  return layout;
}

void refresh(StepRecord& record, Lane lane, const Layout& layout) {
  record.of(lane).digest = lane_digest(lane, record.of(lane), layout.of(lane));
}

StepRecord small_step(std::uint64_t step, std::uint64_t seed) {
  const Layout layout = small_layout();
  StepRecord record;
  record.step = step;
  record.timing.began_ns = 1'700'000'000'000'000'000 + static_cast<std::int64_t>(step) * 1'000'000'000;
  record.timing.duration_ns = 1'000'000'000;
  for (Lane lane : all_lanes) {
    if (!captured(lane, step)) {
      record.of(lane).reason = AbsentReason::off_schedule;
      continue;
    }
    record.of(lane).status = LaneStatus::captured;
    if (is_list(lane)) {
      fill_list(record, lane, seed);
    } else {
      fill_named(record, lane, layout, seed);
    }
    refresh(record, lane, layout);
  }
  record.rng_out.assign(layout.of(Lane::rng).size(), digest_of("rng", step + 1, 0, seed));
  return record;
}

void spoil(StepRecord& record, Lane lane, std::size_t index, const Layout& layout) {
  LaneRecord& to = record.of(lane);
  if (lane == Lane::hyper) {
    to.values.at(index) *= 2;
  } else if (is_list(lane)) {
    to.items.at(index).digest = digest_of("spoilt", record.step, index, 0);
    if (lane == Lane::loss) to.values.at(index) += 0.5;
  } else {
    to.digests.at(index) = digest_of("spoilt", record.step, index, 0);
  }
  refresh(record, lane, layout);
}

MemoryRun::MemoryRun(std::uint64_t steps, std::uint64_t first, std::uint64_t seed)
    : first_(first), layout_(small_layout()) {
  for (std::uint64_t step = first; step < first + steps; ++step) records_.push_back(small_step(step, seed));
  seal();
}

MemoryRun::MemoryRun(std::uint64_t steps, std::uint64_t at, const Edit& edit) : MemoryRun(steps) {
  for (std::uint64_t step = at; step < steps; ++step) edit(records_[step], layout_);
  seal();
}

void MemoryRun::seal() {
  Digest chain;
  for (StepRecord& record : records_) {
    record.root = root_digest(record);
    record.chain = chain = chain_digest(chain, record.root);
  }
}

Digest MemoryRun::chain(std::uint64_t step) const {
  ++chain_reads_;
  return records_.at(step - first_).chain;
}

StepRecord MemoryRun::record(std::uint64_t step) const {
  ++record_reads_;
  return records_.at(step - first_);
}

}  // namespace samestep::testing
