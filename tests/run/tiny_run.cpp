#include "tests/run/tiny_run.h"

#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <functional>

#include "kernels/summary.h"
#include "replay/checkpoint/safetensors.h"
#include "replay/run/error.h"
#include "replay/run/format.h"
#include "replay/run/run_files.h"
#include "replay/run/segment_writer.h"

namespace samestep {
namespace {

constexpr std::uint64_t detail_every = 5;
constexpr std::size_t list_slots = 3;

std::uint64_t mix(std::uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

std::size_t elements(const Shape& shape) {
  std::size_t count = 1;
  for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
  return count;
}

// Multiples of 2^-8 of small magnitude: sums of them are exact on every machine.
TinyTensor drawn(const Shape& shape, std::uint64_t seed) {
  TinyTensor tensor{DType::f32, shape, std::vector<std::byte>(4 * elements(shape))};
  for (std::size_t i = 0; i < elements(shape); ++i) {
    const auto value = static_cast<float>(static_cast<std::int64_t>(mix(seed + i) % 256) - 128) / 256.0F;
    std::memcpy(&tensor.bytes[4 * i], &value, 4);
  }
  return tensor;
}

TinyTensor counter(std::uint64_t value) {
  TinyTensor tensor{DType::i64, {}, std::vector<std::byte>(8)};
  std::memcpy(tensor.bytes.data(), &value, 8);
  return tensor;
}

void add_scaled(TinyTensor& to, const TinyTensor& what, float scale) {
  for (std::size_t i = 0; i < to.bytes.size(); i += 4) {
    float a = 0, b = 0;
    std::memcpy(&a, &to.bytes[i], 4);
    std::memcpy(&b, &what.bytes[i], 4);
    a += scale * b;
    std::memcpy(&to.bytes[i], &a, 4);
  }
}

Digest digest_of(const TinyTensor& tensor) {
  return digest(std::span<const std::byte>(tensor.bytes));
}

std::vector<ListItem> items_of(const std::vector<TinyTensor>& tensors) {
  std::vector<ListItem> items;
  for (const TinyTensor& tensor : tensors) items.push_back({tensor.dtype, tensor.shape, digest_of(tensor)});
  return items;
}

Summary summary_of(const TinyTensor& tensor) {
  Summary summary;
  const TypedBuffer buffer{tensor.bytes.data(), tensor.bytes.size() / element_size(tensor.dtype), tensor.dtype};
  summarize(std::span(&buffer, 1), std::span(&summary, 1), serial(), Backend::scalar);
  return summary;
}

bool has_summaries(Lane lane) {
  return lane == Lane::gradients || lane == Lane::optimizer || lane == Lane::weights_out;
}

std::string label(Lane lane, const std::string& column) {
  return std::string(name(lane)) + "/" + column;
}

// The generator's parameters and buffer are the first optimizer's, the critic's the second's.
std::uint32_t owner_of(const std::string& column) {
  return column.starts_with("critic") || column.starts_with("1/") ? 1 : 0;
}

Layout tiny_layout() {
  Layout layout;
  const Column weight{"layer.weight", DType::f32, Shape{3, 4}};
  const Column bias{"layer.bias", DType::f32, Shape{4}};
  const Column critic{"critic.weight", DType::f32, Shape{2, 2}};
  const Column buffer{"norm.count", DType::i64, Shape{}};
  layout.of(Lane::weights_in) = layout.of(Lane::weights_out) = {weight, bias, critic, buffer};
  layout.of(Lane::gradients) = {weight, bias, critic};
  layout.of(Lane::rng) = {{"cpu", DType::f32, Shape{2}}};
  layout.of(Lane::hyper) = {{"0/lr", DType::f64, Shape{}}, {"1/lr", DType::f64, Shape{}}};
  layout.of(Lane::optimizer) = {{"layer.weight/momentum", DType::f32, Shape{3, 4}},
                                {"critic.weight/history", DType::f32, std::nullopt}};
  layout.of(Lane::state) = {{"cursor", DType::i64, std::nullopt}};
  layout.optimizers = {"SGD", "Adam"};
  return layout;
}

}  // namespace

TinyTraining::TinyTraining(std::uint64_t seed) : seed_(seed), layout_(tiny_layout()) {
  for (const Column& column : layout_.of(Lane::weights_out)) {
    const bool is_counter = column.dtype == DType::i64;
    tensors_[label(Lane::weights_out, column.name)] = {is_counter ? counter(0)
                                                                  : drawn(*column.shape, seed + column.name.size())};
  }
  tensors_["rng/cpu"] = {drawn({2}, mix(seed))};
  tensors_["optimizer/layer.weight/momentum"] = {drawn({3, 4}, 0)};
  tensors_["optimizer/critic.weight/history"] = {};
  tensors_["state/cursor"] = {counter(0)};
}

std::vector<TinyTensor> TinyTraining::tensors_of(Lane lane, std::size_t column) const {
  const Lane where = lane == Lane::weights_in ? Lane::weights_out : lane;
  return tensors_.at(label(where, layout_.of(lane)[column].name));
}

void TinyTraining::fill(LaneRecord& record, Lane lane, std::uint32_t optimizer) const {
  const std::vector<Column>& columns = layout_.of(lane);
  record.status = LaneStatus::captured;
  record.presence.assign(columns.size(), Presence::absent);
  record.digests.resize(columns.size());
  if (has_summaries(lane)) record.summaries.resize(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const bool everyones = lane == Lane::rng || lane == Lane::state;
    if (!everyones && owner_of(columns[i].name) != optimizer) continue;
    record.presence[i] = Presence::present;
    const std::vector<TinyTensor> tensors = tensors_of(lane, i);
    record.digests[i] = columns[i].shape ? digest_of(tensors.at(0)) : list_digest(items_of(tensors));
    if (!record.summaries.empty() && columns[i].shape) record.summaries[i] = summary_of(tensors.at(0));
  }
}

// Draws gradients, leaves the bias without one at every third step, and updates what `optimizer` owns.
void TinyTraining::update(std::uint32_t optimizer) {
  const std::uint64_t salt = mix(seed_ * 1000003 + updates_);
  if (optimizer == 0) {
    TinyTensor gradient = drawn({3, 4}, salt);
    add_scaled(tensors_["optimizer/layer.weight/momentum"][0], gradient, 0.5F);
    add_scaled(tensors_["weights_out/layer.weight"][0], gradient, -0.125F);
    if (updates_ % 3 != 0) add_scaled(tensors_["weights_out/layer.bias"][0], drawn({4}, salt + 1), -0.125F);
    tensors_["weights_out/norm.count"] = {counter(updates_ + 1)};
  } else {
    const TinyTensor gradient = drawn({2, 2}, salt);
    add_scaled(tensors_["weights_out/critic.weight"][0], gradient, -0.25F);
    auto& history = tensors_["optimizer/critic.weight/history"];
    if (history.size() == 3) history.erase(history.begin());
    history.push_back(gradient);
  }
  tensors_["rng/cpu"] = {drawn({2}, salt + 2)};
  tensors_["state/cursor"] = {counter(updates_), counter(salt % 97)};
}

// What the forward pass reads and gives: batch, hyper-parameters, one or two losses.
void TinyTraining::fill_forward(StepRecord& record, std::uint64_t salt) const {
  LaneRecord& batch = record.of(Lane::batch);
  batch.items = items_of({drawn({2, 3}, salt + 3), counter(updates_)});
  LaneRecord& hyper = record.of(Lane::hyper);
  hyper.presence = {record.optimizer == 0 ? Presence::present : Presence::absent,
                    record.optimizer == 1 ? Presence::present : Presence::absent};
  hyper.values = {record.optimizer == 0 ? 0.125 : 0.0, record.optimizer == 1 ? 0.25 : 0.0};
  LaneRecord& loss = record.of(Lane::loss);
  for (std::uint64_t i = 0; i <= updates_ % 2; ++i) {
    const TinyTensor value = drawn({}, salt + 4 + i);
    float number = 0;
    std::memcpy(&number, value.bytes.data(), 4);
    loss.items.push_back(items_of({value})[0]);
    loss.values.push_back(number);
  }
  for (LaneRecord* lane : {&batch, &hyper, &loss}) lane->status = LaneStatus::captured;
}

void TinyTraining::fill_gradients(StepRecord& record, std::uint64_t salt) {
  tensors_["gradients/layer.weight"] = {drawn({3, 4}, salt)};
  tensors_["gradients/layer.bias"] = {drawn({4}, salt + 1)};
  tensors_["gradients/critic.weight"] = {drawn({2, 2}, salt)};
  LaneRecord& gradients = record.of(Lane::gradients);
  fill(gradients, Lane::gradients, record.optimizer);
  if (record.optimizer != 0 || updates_ % 3 != 0) return;
  gradients.presence[1] = Presence::undefined;
  gradients.digests[1] = Digest{};
  gradients.summaries[1] = Summary{};
}

StepRecord TinyTraining::step(bool anchor) {
  StepRecord record;
  record.step = updates_;
  record.optimizer = static_cast<std::uint32_t>(updates_ % 2);
  const std::uint64_t salt = mix(seed_ * 1000003 + updates_);
  for (const Lane lane : {Lane::weights_in, Lane::rng}) fill(record.of(lane), lane, record.optimizer);
  fill_forward(record, salt);
  fill_gradients(record, salt);
  update(record.optimizer);
  const auto fill_if = [&](bool due, Lane lane) {
    if (due)
      fill(record.of(lane), lane, record.optimizer);
    else
      record.of(lane).reason = AbsentReason::off_schedule;
  };
  fill_if(anchor || in_root(Lane::optimizer, record.step), Lane::optimizer);
  fill_if(true, Lane::weights_out);
  fill_if(anchor, Lane::state);
  record.rng_out = {digest_of(tensors_["rng/cpu"][0])};
  if (record.step % 3 != 1) record.host_reads = {record.step, std::bit_cast<std::uint64_t>(0.5)};
  for (const Lane lane : all_lanes) {
    LaneRecord& entry = record.of(lane);
    if (!summaries_due(record.step) && !anchor) entry.summaries.clear();
    if (entry.status != LaneStatus::absent) entry.digest = lane_digest(lane, entry, layout_.of(lane));
  }
  const auto began = static_cast<std::int64_t>(1700000000000000000 + record.step * 1000000);
  record.timing = {began, 1000000, 100, 2000, 1u << 20, 0, 0, 1};
  updates_ += 1;
  return record;
}

std::string TinyTraining::anchor() const {
  std::vector<TensorView> views;
  for (const Lane lane : {Lane::weights_out, Lane::optimizer, Lane::rng, Lane::state}) {
    for (const Column& column : layout_.of(lane)) {
      const auto& tensors = tensors_.at(label(lane, column.name));
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        const std::string suffix = column.shape ? "" : "/" + std::to_string(i);
        views.push_back({label(lane, column.name) + suffix, tensors[i].dtype, tensors[i].shape, tensors[i].bytes});
      }
    }
  }
  const nlohmann::json about{{"format", 1}, {"rank", 0}, {"step", updates_}};
  std::string file = safetensors_head(views, {{"samestep", about.dump()}});
  for (const TensorView& view : views) file.append(reinterpret_cast<const char*>(view.data.data()), view.data.size());
  return file;
}

namespace {

void write_file(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

struct Chains {
  Digest chain, log_chain;
};

// Appends the steps up to `end` to a new segment and returns the chains after each of them.
std::vector<Chains> write_segment(const std::filesystem::path& folder, const SegmentHeader& header, const TinyRun& run,
                                  std::uint64_t end, bool close) {
  TinyTraining training(run.seed);
  while (training.updates() < header.first_step) static_cast<void>(training.step());
  if (header.number > 0) training.reseed(run.resumed_seed);
  SegmentWriter writer(folder / format::log_file(header.rank, header.number), header, training.layout(), list_slots,
                       detail_every);
  std::vector<Chains> chains;
  while (training.updates() < end) {
    const std::uint64_t next = training.updates() + 1;
    const bool anchor = (next == run.anchor_at && header.number == 0) || next == run.anchor_in_both_at;
    StepRecord record = training.step(anchor);
    writer.append(record);
    chains.push_back({writer.chain(), writer.log_chain()});
    if (anchor) write_file(folder / format::anchor_file(next, 0, header.number), training.anchor());
  }
  if (!close) ::_exit(0);  // nothing is closed, as after a kill
  writer.close();
  return chains;
}

// The segment of a recorder that dies: written by a process of its own.
void write_in_killed_process(const std::filesystem::path& folder, const SegmentHeader& header, const TinyRun& run) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      write_segment(folder, header, run, run.first_end, false);
    } catch (...) {
      ::_exit(1);
    }
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) throw BrokenInput("writing a segment failed");
}

SegmentEntry entry_of(const SegmentHeader& header, std::uint64_t end) {
  SegmentEntry entry;
  entry.rank = header.rank;
  entry.number = header.number;
  entry.file = format::log_file(header.rank, header.number);
  entry.first_step = header.first_step;
  entry.steps = end - header.first_step;
  entry.began_ns = 1700000000000000000;
  return entry;
}

SegmentEntry ended_entry(const std::filesystem::path& folder, const SegmentHeader& header, std::uint64_t end,
                         const std::vector<Chains>& chains) {
  SegmentEntry entry = entry_of(header, end);
  entry.ended = "closed";
  entry.digest = file_digest(folder / entry.file);
  entry.chain = chains.back().chain;
  entry.log_chain = chains.back().log_chain;
  entry.ended_ns = entry.began_ns + 1000000000;
  return entry;
}

// Two segments, the second a resume that goes back.
void write_ended(const std::filesystem::path& folder, const TinyRun& run, Manifest& manifest, SegmentHeader header) {
  const std::vector<Chains> first = write_segment(folder, header, run, run.first_end, true);
  manifest.segments.push_back(ended_entry(folder, header, run.first_end, first));
  if (run.resumed_at >= run.first_end) return;
  header.number = 1;
  header.first_step = run.resumed_at;
  header.chain_before = first.at(run.resumed_at - 1).chain;
  header.log_chain_before = first.back().log_chain;
  const std::vector<Chains> second = write_segment(folder, header, run, run.end, true);
  manifest.segments.push_back(ended_entry(folder, header, run.end, second));
}

AnchorEntry anchor_entry(const std::filesystem::path& folder, std::uint64_t step, std::uint32_t segment) {
  AnchorEntry entry;
  entry.step = step;
  entry.segment = segment;
  entry.file = format::anchor_file(step, 0, segment);
  entry.bytes = std::filesystem::file_size(folder / entry.file);
  entry.digest = file_digest(folder / entry.file);
  return entry;
}

}  // namespace

void write_tiny_run(const std::filesystem::path& folder, const TinyRun& run) {
  std::filesystem::create_directories(folder / format::anchor_folder);
  Manifest manifest;
  manifest.run_id = run.run_id;
  manifest.what = {{"argv", {"./tiny"}}, {"host", "golden"}, {"boot_id", "golden"}, {"process", 1}};
  SegmentHeader header;
  header.run_id = run.run_id;
  if (run.ended) {
    write_ended(folder, run, manifest, header);
  } else {
    write_in_killed_process(folder, header, run);
    manifest.segments.push_back(entry_of(header, run.first_end));
  }
  if (run.anchor_at != 0) manifest.anchors.push_back(anchor_entry(folder, run.anchor_at, 0));
  for (const SegmentEntry& segment : manifest.segments) {
    const std::uint64_t last = run.anchor_in_both_at - 1;
    const bool made = segment.first_step <= last && last < segment.first_step + segment.steps;
    if (made) manifest.anchors.push_back(anchor_entry(folder, run.anchor_in_both_at, segment.number));
  }
  manifest.events.push_back({1700000000000000000, 0, "resume", run.resumed_at, "", "went on from step 30"});
  write_manifest(folder, manifest);
}

}  // namespace samestep
