#include "replay/capture/step_draft.h"

#include "replay/capture/generators.h"

namespace samestep::capture {
namespace {

// The gradient as it will be read: its parts, none where it is undefined.
std::vector<at::Tensor> gradient_parts(const at::Tensor& parameter) {
  const auto& gradient = parameter.grad();
  return gradient.defined() ? parts_of(gradient) : std::vector<at::Tensor>{};
}

void put_gradient(LaneBuilder& lane, const std::vector<at::Tensor>& parts, bool sparse) {
  if (parts.empty()) {
    lane.undefined();
  } else if (sparse) {
    lane.list(parts);
  } else {
    lane.tensor(parts.front());
  }
}

LaneBuilder list_gradients(Reading& reading, const Parameters& parameters, std::size_t number,
                           std::set<std::string>& sparse, bool summarize) {
  LaneBuilder lane(reading, summarize);
  for (const auto& slot : parameters.slots()) {
    if (slot.owners == 0) continue;
    if (!slot.owned_by(number) || !slot.tensor.requires_grad()) {
      lane.absent();
      continue;
    }
    const auto parts = gradient_parts(slot.tensor);
    if (parts.size() > 1) sparse.insert(slot.name);
    put_gradient(lane, parts, sparse.contains(slot.name));
  }
  return lane;
}

}  // namespace

void read_forward(StepDraft& draft, const Parameters* parameters, const std::vector<at::Tensor>& batch) {
  Reading reading;
  LaneBuilder weights(reading, false), generators(reading, false);
  if (parameters != nullptr) {
    for (const auto& slot : parameters->slots()) weights.tensor(slot.tensor);
  }
  draft.rng_columns.clear();
  for (const auto& generator : generator_states()) {
    generators.tensor(generator.state);
    draft.rng_columns.push_back({generator.name, DType::u8, shape_of(generator.state)});
  }
  std::vector<std::size_t> places;
  for (const auto& tensor : batch) places.push_back(reading.add(tensor));
  reading.run();
  draft.forward_seen = true;
  draft.weights_in = weights.record();
  draft.rng = generators.record();
  draft.batch.clear();
  for (const auto place : places) draft.batch.push_back(reading.item(place));
}

void read_batch(StepDraft& draft, const std::vector<at::Tensor>& batch) {
  Reading reading;
  std::vector<std::size_t> places;
  for (const auto& tensor : batch) places.push_back(reading.add(tensor));
  reading.run();
  for (const auto place : places) draft.batch.push_back(reading.item(place));
}

Options hyper_options(const Optimizer& optimizer, std::size_t number) {
  Options options;
  for (std::size_t group = 0; group < optimizer.groups(); ++group) {
    const auto prefix = std::to_string(number) + ".group" + std::to_string(group) + ".";
    for (const auto& [name, value] : optimizer.notable_options(group)) options[prefix + name] = value;
  }
  return options;
}

std::vector<Column> gradient_columns(const Parameters& parameters, const std::set<std::string>& sparse) {
  std::vector<Column> columns;
  for (std::size_t i = 0; i < parameters.slots().size(); ++i) {
    if (parameters.slots()[i].owners == 0) continue;
    columns.push_back(parameters.columns()[i]);
    if (sparse.contains(columns.back().name)) columns.back().shape.reset();
  }
  return columns;
}

LaneRecord loss_lane(const std::vector<at::Tensor>& losses, const Reading& reading, std::size_t first) {
  if (losses.empty()) return absent_lane(AbsentReason::loss_not_given);
  LaneRecord lane;
  lane.status = LaneStatus::captured;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const auto host = on_host(losses[i]);
    lane.items.push_back(reading.item(first + i));
    lane.values.push_back((host.numel() == 1 ? host : host.sum()).item().toDouble());
  }
  return lane;
}

void read_gradients(StepDraft& draft, const Parameters& parameters, std::size_t number, std::set<std::string>& sparse,
                    bool summarize) {
  Reading reading;
  const auto gradients = list_gradients(reading, parameters, number, sparse, summarize);
  reading.run();
  draft.gradients = gradients.record();
}

void read_options(StepDraft& draft, const Optimizer& optimizer, std::size_t number) {
  draft.update_seen = true;
  for (const auto& [name, value] : hyper_options(optimizer, number)) draft.hyper[name] = value;
}

}  // namespace samestep::capture
