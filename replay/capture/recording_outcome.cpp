// The moment O of a recording: what an update has made, the step's record, and what the recorder wants of it.
#include <algorithm>

#include "replay/capture/recording.h"
#include "replay/run/utc.h"

namespace samestep::capture {
namespace {

Entry gradient_entry(const WeightSlot& slot, const std::set<std::string>& sparse) {
  Column column{slot.name, dtype_of(slot.tensor), shape_of(slot.tensor)};
  if (sparse.contains(slot.name)) column.shape.reset();
  return {std::move(column), parts_of(slot.tensor.grad())};
}

}  // namespace

struct Recording::Outcome {
  bool anchor = false;       // one is to be cut here
  bool new_segment = false;  // the layout is not the one that was sent
  LaneRecord weights_out, optimizer, state, rng, loss;
  bool optimizer_read = false, state_read = false;
  std::vector<Entry> optimizer_entries;
};

bool Recording::state_wanted() const {
  return replaying() || layout_changed_ || cut_ || anchor_due() || in_root(Lane::optimizer, step_number());
}

bool Recording::anchor_due() const {
  if (replaying()) return false;
  const auto every = link_->welcome().anchor_every;
  return anchor_asked_ || loop_.next + 1 >= loop_.end || (every != 0 && (step_number() + 1) % every == 0);
}

Layout Recording::layout_now(std::vector<Column> optimizer_columns) const {
  Layout layout;
  layout.of(Lane::weights_in) = layout.of(Lane::weights_out) = parameters_.columns();
  layout.of(Lane::rng) = draft_.rng_columns;
  layout.of(Lane::gradients) = gradient_columns(parameters_, sparse_gradients_);
  layout.of(Lane::optimizer) = std::move(optimizer_columns);
  for (const auto& name : hyper_names_) layout.of(Lane::hyper).push_back({name, DType::f64, Shape{}});
  for (const auto& value : kept_) layout.of(Lane::state).push_back({value.name, DType::u8, std::nullopt});
  for (const auto& optimizer : program_.optimizers) layout.optimizers.push_back(optimizer->class_name());
  return layout;
}

// The schedule of the lanes that are not read at every step; renews the layout where something of it has changed.
void Recording::plan_outcome(Outcome& outcome) {
  outcome.anchor = anchor_due() || cut_.has_value();
  outcome.new_segment = layout_changed_;
  const bool as_recorded = std::ranges::binary_search(link_->welcome().read_steps, step_number());
  outcome.optimizer_read =
      outcome.anchor || outcome.new_segment || as_recorded || in_root(Lane::optimizer, step_number());
  if (outcome.optimizer_read) {
    outcome.optimizer_entries = optimizer_entries(program_.optimizers, parameters_);
    auto columns = columns_of(outcome.optimizer_entries);
    outcome.new_segment |= columns != layout_.of(Lane::optimizer);
    if (outcome.new_segment) layout_ = layout_now(std::move(columns));
  }
  outcome.state_read = outcome.anchor || outcome.new_segment || as_recorded;
  layout_changed_ = false;
}

Recording::Outcome Recording::read_outcome(std::size_t optimizer) {
  Outcome outcome;
  plan_outcome(outcome);
  const bool summarize = summaries_due(step_number()) || outcome.anchor;
  Reading reading;
  LaneBuilder weights(reading, summarize), state(reading, false), optimizers(reading, summarize), rng(reading, false);
  for (const auto& slot : parameters_.slots()) {
    slot.covered_by(optimizer) ? weights.tensor(slot.tensor) : weights.absent();
  }
  for (const auto& entry : outcome.optimizer_entries) {
    entry.optimizer == optimizer ? optimizers.entry(entry) : optimizers.absent();
  }
  if (outcome.state_read) {
    for (const auto& entry : kept_entries(kept_)) state.entry(entry);
  }
  for (const auto& generator : generator_states()) rng.tensor(generator.state);
  // Not at P: the later passes of a closure have losses of their own.
  const auto first_loss = reading.size();
  for (const auto& loss : draft_.losses) reading.add(loss);
  reading.run();
  outcome.weights_out = weights.record();
  outcome.optimizer = optimizers.record();
  outcome.state = state.record();
  outcome.rng = rng.record();
  outcome.loss = loss_lane(draft_.losses, reading, first_loss);
  return outcome;
}

StepRecord Recording::assemble(Outcome& outcome, std::size_t optimizer, bool skipped) {
  StepRecord record;
  record.step = step_number();
  record.optimizer = static_cast<std::uint32_t>(optimizer);
  record.skipped = skipped;
  record.of(Lane::weights_in) = std::move(draft_.weights_in);
  record.of(Lane::rng) = std::move(draft_.rng);
  record.of(Lane::hyper) = hyper_lane();
  if (pins_hyper()) record.of(Lane::hyper).status = LaneStatus::given;
  if (std::exchange(rng_given_, false)) record.of(Lane::rng).status = LaneStatus::given;
  record.of(Lane::gradients) = std::move(draft_.gradients);
  record.of(Lane::weights_out) = std::move(outcome.weights_out);

  auto& batch = record.of(Lane::batch);
  if (draft_.batch_seen) {
    batch.status = LaneStatus::captured;
    batch.items = std::move(draft_.batch);
  } else {
    batch = absent_lane(AbsentReason::batch_not_given);
  }
  record.of(Lane::loss) = std::move(outcome.loss);

  const bool readable = program_.optimizers[optimizer]->known();
  record.of(Lane::optimizer) = !readable                 ? absent_lane(AbsentReason::unknown_optimizer)
                               : !outcome.optimizer_read ? absent_lane(AbsentReason::off_schedule)
                                                         : std::move(outcome.optimizer);
  record.of(Lane::state) = kept_.empty()         ? absent_lane(AbsentReason::nothing_there)
                           : !outcome.state_read ? absent_lane(AbsentReason::off_schedule)
                                                 : std::move(outcome.state);
  record.rng_out = std::move(outcome.rng.digests);
  record.rng_out.resize(draft_.rng_columns.size());
  if (host_reads_ != nullptr) record.host_reads = take_reads();
  return record;
}

std::vector<bool> Recording::covered_by(std::size_t optimizer) const {
  std::vector<bool> covered;
  for (const auto& slot : parameters_.slots()) covered.push_back(slot.covered_by(optimizer));
  return covered;
}

void Recording::mask_and_seal(StepRecord& record, std::size_t optimizer) const {
  mask(record.of(Lane::weights_in), covered_by(optimizer));
  for (const auto lane : all_lanes) {
    auto& own = record.of(lane);
    if (own.status == LaneStatus::captured) seal(lane, own, layout_.of(lane));
  }
}

StepTiming Recording::timing() {
  StepTiming timing;
  const auto now = utc_now_ns();
  timing.began_ns = draft_.began_ns;
  timing.duration_ns = now - last_commit_ns_;
  // What the step still does after this, and the waiting for its acknowledgement, counts for the next.
  const auto so_far = work_ns();
  timing.waited_ns = link_->take_waited();
  timing.capture_ns = std::max<std::int64_t>(0, capture_ns_ + so_far - timing.waited_ns);
  capture_ns_ = -so_far;
  timing.peak_memory = peak_memory();
  timing.peak_device_memory = peak_device_memory();
  timing.rank = hello_.rank;
  timing.world_size = hello_.world_size;
  last_commit_ns_ = now;
  return timing;
}

void Recording::after_update(std::size_t optimizer, bool skipped) {
  guarded("the update", [&] {
    if (forward_ != nullptr) return skip_update(optimizer, skipped);
    auto outcome = read_outcome(optimizer);
    auto record = assemble(outcome, optimizer, skipped);
    last_hyper_ = draft_.hyper;
    if (outcome.new_segment) link_->layout(encode(layout_));
    mask_and_seal(record, optimizer);
    commit(outcome, std::move(record));
    obey(step_number(), optimizer);
    if (loop_.made == 0) forward_at_top_ = !draft_.batch_seen;
    first_step_done_ = true;
  });
  draft_ = {};
}

void Recording::commit(Outcome& outcome, StepRecord record) {
  if (outcome.anchor) {
    cut_.emplace(program(), record.step + 1, loop_.next + 1);
    anchor_asked_ = false;
  }
  record.timing = timing();
  link_->step(record.step, encode(record));
}

void Recording::obey(std::uint64_t step, std::size_t optimizer) {
  const auto wishes = link_->take_wishes();
  anchor_asked_ |= wishes.cut_anchor;
  loop_.stopped |= wishes.stop;
  if (wishes.dump || link_->welcome().dump_step == step) send_dump(step, optimizer);
}

void Recording::send_dump(std::uint64_t step, std::size_t optimizer) {
  auto tensors = draft_.kept_weights;
  tensors.insert(tensors.end(), draft_.kept_batch.begin(), draft_.kept_batch.end());
  for (std::size_t i = 0; i < draft_.losses.size(); ++i) {
    tensors.push_back({"loss/" + std::to_string(i), draft_.losses[i]});
  }
  tensors.insert(tensors.end(), draft_.kept_gradients.begin(), draft_.kept_gradients.end());
  for (const auto& slot : parameters_.slots()) {
    const bool own = slot.owned_by(optimizer) && draft_.kept_gradients.empty() && slot.tensor.grad().defined();
    if (own) append_named(tensors, "gradients", gradient_entry(slot, sparse_gradients_));
  }
  for (const auto& entry : optimizer_entries(program_.optimizers, parameters_)) {
    if (entry.optimizer == optimizer) append_named(tensors, "optimizer", entry);
  }
  for (const auto& slot : parameters_.slots()) {
    if (slot.covered_by(optimizer)) tensors.push_back({"weights_out/" + slot.name, slot.tensor});
  }
  const MemoryFile file(tensors, {{"samestep", nlohmann::json{{"step", step}}.dump()}});
  link_->file(protocol::Type::dump, step, file.descriptor());
}

}  // namespace samestep::capture
