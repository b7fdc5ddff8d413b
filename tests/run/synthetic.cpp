#include "tests/run/synthetic.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace samestep {
namespace {

// splitmix64 (Steele, Lea, Flood 2014): a word from a counter.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

Digest drawn(std::uint64_t seed, std::uint64_t step, std::uint64_t what, std::uint64_t index) {
  Digest digest;
  std::uint64_t word = mix(mix(mix(mix(seed) ^ step) ^ what) ^ index);
  for (std::size_t i = 0; i < digest.bytes.size(); i += 8) {
    word = mix(word);
    std::memcpy(&digest.bytes[i], &word, 8);
  }
  return digest;
}

Summary drawn_summary(std::uint64_t word) {
  Summary summary;
  summary.statistics = {1.0 + static_cast<double>(word % 1000), 0.5, 0.25, word % 3};
  for (double& projection : summary.sketch.p) projection = std::sin(static_cast<double>(word = mix(word)));
  summary.syndrome = {mix(word) >> 3, mix(word + 1) >> 3};
  return summary;
}

constexpr std::uint64_t weights_salt = 100;  // weights_in and weights_out draw from one sequence

std::uint64_t salt_of(Lane lane) {
  const bool weights = lane == Lane::weights_in || lane == Lane::weights_out;
  return weights ? weights_salt : static_cast<std::uint64_t>(lane);
}

void fill_named(LaneRecord& entry, Lane lane, std::size_t columns, std::uint64_t seed, std::uint64_t version) {
  entry.presence.assign(columns, Presence::present);
  for (std::size_t i = 0; i < columns; ++i) {
    if (lane == Lane::hyper) {
      entry.values.push_back(1.0 / static_cast<double>(1 + i + version % 7));
    } else {
      entry.digests.push_back(drawn(seed, version, salt_of(lane), i));
    }
  }
}

void fill_list(LaneRecord& entry, Lane lane, std::uint64_t seed, std::uint64_t step) {
  if (lane == Lane::loss) {
    entry.items.push_back({DType::f32, {}, drawn(seed, step, salt_of(lane), 0)});
    entry.values.push_back(4.0 * std::exp(-static_cast<double>(step) / 300.0) + static_cast<double>(seed % 10) * 0.01);
    return;
  }
  for (std::uint64_t i = 0; i < 2; ++i)
    entry.items.push_back({DType::i64, {12, 64}, drawn(seed, step, salt_of(lane), i)});
}

bool is_captured(Lane lane, std::uint64_t step) {
  return lane != Lane::state && in_root(lane, step);
}

}  // namespace

Layout synthetic_layout(const SyntheticRun& run) {
  Layout layout;
  layout.optimizers = {"AdamW"};
  layout.of(Lane::rng).push_back({"cpu", DType::u8, Shape{5056}});
  for (const char* name : {"lr", "beta1", "beta2", "eps", "weight_decay", "amsgrad", "max_norm", "norm"}) {
    layout.of(Lane::hyper).push_back({std::string("0/") + name, DType::f64, Shape{}});
  }
  for (std::size_t i = 0; i < run.parameters; ++i) {
    const Column column{"block." + std::to_string(i) + ".weight", DType::f32,
                        Shape{16, static_cast<std::int64_t>(8 + i)}};
    for (const Lane lane : {Lane::weights_in, Lane::gradients, Lane::weights_out}) layout.of(lane).push_back(column);
    layout.of(Lane::optimizer).push_back({column.name + "/exp_avg", column.dtype, column.shape});
    layout.of(Lane::optimizer).push_back({column.name + "/exp_avg_sq", column.dtype, column.shape});
  }
  return layout;
}

StepRecord synthetic_record(const SyntheticRun& run, const Layout& layout, std::uint64_t step) {
  StepRecord record;
  record.step = step;
  const std::uint64_t seed = step >= run.parts_at ? run.seed + 1 : run.seed;
  for (const Lane lane : all_lanes) {
    LaneRecord& entry = record.of(lane);
    if (!is_captured(lane, step)) {
      entry.reason = AbsentReason::off_schedule;
      continue;
    }
    entry.status = LaneStatus::captured;
    const std::size_t columns = layout.of(lane).size();
    const bool before = lane == Lane::weights_in && step <= run.parts_at;
    if (is_list(lane))
      fill_list(entry, lane, seed, step);
    else
      fill_named(entry, lane, columns, before ? run.seed : seed, lane == Lane::weights_out ? step + 1 : step);
    const bool summarized = lane == Lane::gradients || lane == Lane::weights_out || lane == Lane::optimizer;
    for (std::size_t i = 0; summarized && summaries_due(step) && i < columns; ++i) {
      entry.summaries.push_back(drawn_summary(mix(seed + step * 1000 + i)));
    }
    entry.digest = lane_digest(lane, entry, layout.of(lane));
  }
  record.rng_out = {drawn(seed, step, 200, 0)};
  record.timing = {
      1700000000000000000 + static_cast<std::int64_t>(step) * 50000000, 50000000, 0, 900000, 1u << 29, 0, 0, 1};
  return record;
}

}  // namespace samestep
