// The moments F and P of a recording: what an update is made of.
#include <algorithm>

#include "replay/capture/recording.h"
#include "replay/run/utc.h"

namespace samestep::capture {
namespace {

void keep_copies(std::vector<NamedTensor>& kept, const std::string& lane, const std::vector<at::Tensor>& tensors) {
  for (const auto& tensor : tensors) kept.push_back({lane + "/" + std::to_string(kept.size()), host_copy(tensor)});
}

}  // namespace

void Recording::batch(const std::vector<at::Tensor>& tensors) {
  guarded("the batch", [&] {
    draft_.batch_stale |= std::ranges::any_of(tensors, [&](const auto& tensor) { return is_stale(tensor); });
    if (draft_.batch_seen) {
      read_batch(draft_, tensors);
    } else {
      forward(tensors);
      draft_.batch_seen = true;
    }
    keep_for_dump(tensors);
  });
}

void Recording::forward(const std::vector<at::Tensor>& batch) {
  layout_changed_ |= parameters_.refresh();
  put_pinned_rng();
  draft_.began_ns = utc_now_ns();
  read_forward(draft_, forward_ == nullptr ? &parameters_ : nullptr, batch);
  layout_changed_ |= draft_.rng_columns != layout_.of(Lane::rng);
  check_settings();
}

// At the first P, when it is known which optimizer steps and thus what weights_in covers.
void Recording::ask_for_first_step(std::size_t optimizer) {
  if (!link_->welcome().ask_start || first_step_known_) return;
  first_step_known_ = true;
  auto weights = draft_.weights_in;
  mask(weights, covered_by(optimizer));
  seal(Lane::weights_in, weights, parameters_.columns());
  offset_ = link_->start({weights.digest, optimizer_digest(optimizer)}) - loop_.next;
}

// The lane `optimizer` as it stands; nullopt where there is no state yet.
std::optional<Digest> Recording::optimizer_digest(std::size_t optimizer) const {
  const auto entries = optimizer_entries(program_.optimizers, parameters_);
  const auto holds = [&](const Entry& entry) { return entry.optimizer == optimizer && !entry.tensors.empty(); };
  if (std::none_of(entries.begin(), entries.end(), holds)) return std::nullopt;
  Reading reading;
  LaneBuilder lane(reading, false);
  for (const auto& entry : entries) entry.optimizer == optimizer ? lane.entry(entry) : lane.absent();
  reading.run();
  auto record = lane.record();
  seal(Lane::optimizer, record, columns_of(entries));
  return record.digest;
}

// A lane that was pinned is the recording's, whatever the program would have had.
void Recording::put_pinned_rng() {
  const auto& welcome = link_->welcome();
  if (!welcome.pin_rng || forward_ != nullptr || step_number() != welcome.first_step || link_->anchor() < 0) return;
  const MappedFile file(link_->anchor(), "the anchor");
  restore_anchor_generators(file.bytes(), welcome.first_step);
  rng_given_ = true;
}

void Recording::put_pinned_hyper(std::size_t optimizer) {
  auto& owner = *program_.optimizers[optimizer];
  for (std::size_t group = 0; group < owner.groups(); ++group) {
    const auto prefix = std::to_string(optimizer) + ".group" + std::to_string(group) + ".";
    Options options;
    for (const auto& [name, value] : *link_->pinned_hyper()) {
      if (name.starts_with(prefix)) options[name.substr(prefix.size())] = value;
    }
    owner.set_options(group, options);
  }
}

void Recording::keep_for_dump(const std::vector<at::Tensor>& batch) {
  if (!replaying() || forward_ != nullptr) return;
  keep_copies(draft_.kept_batch, "batch", batch);
  if (link_->welcome().dump_step != step_number() || !draft_.kept_weights.empty()) return;
  for (const auto& slot : parameters_.slots()) {
    draft_.kept_weights.push_back({"weights_in/" + slot.name, host_copy(slot.tensor)});
  }
}

void Recording::check_settings() {
  const auto now = effective_settings();
  if (now == settings_) return;
  notice("environment", "changed while the program ran: " + describe_change(settings_, now), step_number());
  settings_ = now;
}

void Recording::loss(const at::Tensor& value) {
  guarded("the loss", [&] { draft_.losses.push_back(value.detach().clone()); });
}

void Recording::hyper(const std::string& name, double value) {
  draft_.hyper[name] = value;
}

void Recording::before_update(std::size_t optimizer, bool inside_closure) {
  guarded("the gradients", [&] {
    if (!draft_.forward_seen) forward({});
    ask_for_first_step(optimizer);
    add_first_options(first_options_, program_.optimizers);
    auto& owner = *program_.optimizers[optimizer];
    if (pins_hyper() && forward_ == nullptr) put_pinned_hyper(optimizer);
    const auto known_names = hyper_names_.size() + sparse_gradients_.size();
    read_options(draft_, owner, optimizer);
    if (forward_ == nullptr)
      read_gradients(draft_, parameters_, optimizer, sparse_gradients_, summaries_due(step_number()) || anchor_due());
    note_hyper_names();
    layout_changed_ |= known_names != hyper_names_.size() + sparse_gradients_.size();
    if (!replaying() || !inside_closure || forward_ != nullptr) return;
    // Later passes of the closure overwrite the gradients that were read.
    for (const auto& slot : parameters_.slots()) {
      if (!slot.owned_by(optimizer) || !slot.tensor.grad().defined()) continue;
      draft_.kept_gradients.push_back({"gradients/" + slot.name, host_copy(slot.tensor.grad().to_dense())});
    }
  });
}

// Those of every optimizer, so that the first step of the second one of a GAN does not start another table.
void Recording::note_hyper_names() {
  for (const auto& [name, value] : draft_.hyper) hyper_names_.insert(name);
  for (std::size_t number = 0; number < program_.optimizers.size(); ++number) {
    for (const auto& [name, value] : hyper_options(*program_.optimizers[number], number)) hyper_names_.insert(name);
  }
}

LaneRecord Recording::hyper_lane() const {
  LaneRecord lane;
  lane.status = LaneStatus::captured;
  for (const auto& name : hyper_names_) {
    const auto value = draft_.hyper.find(name);
    const bool there = value != draft_.hyper.end();
    lane.presence.push_back(there ? Presence::present : Presence::absent);
    lane.values.push_back(there ? value->second : 0.0);
  }
  return lane;
}

}  // namespace samestep::capture
