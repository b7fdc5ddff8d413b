#include "replay/capture/parameters.h"

#include <algorithm>
#include <unordered_map>

#include "replay/capture/tensors.h"

namespace samestep::capture {
namespace {

using Names = std::unordered_map<const void*, std::string>;

Names names_of(const std::vector<NamedWeight>& weights) {
  Names names;
  for (const auto& [name, tensor] : weights) {
    if (tensor.defined()) names.emplace(tensor.unsafeGetTensorImpl(), name);
  }
  return names;
}

Column column_of(const WeightSlot& slot) {
  return {slot.name, dtype_of(slot.tensor), shape_of(slot.tensor)};
}

}  // namespace

Parameters::Parameters(const Weights& weights, const Optimizers& optimizers)
    : weights_(weights), optimizers_(optimizers) {
  list();
}

std::size_t Parameters::find(const at::Tensor& tensor) const {
  const auto found =
      std::find_if(slots_.begin(), slots_.end(), [&](const WeightSlot& slot) { return slot.tensor.is_same(tensor); });
  return static_cast<std::size_t>(found - slots_.begin());
}

void Parameters::list() {
  slots_.clear();
  columns_.clear();
  for (std::size_t number = 0; number < optimizers_.size(); ++number) list_optimizer(number);
  list_weights();
  for (const auto& slot : slots_) columns_.push_back(column_of(slot));
  identities_ = identities();
}

void Parameters::list_optimizer(std::size_t number) {
  const auto names = names_of(weights_.parameters());
  for (std::size_t group = 0; group < optimizers_[number]->groups(); ++group) {
    const auto& tensors = optimizers_[number]->parameters(group);
    for (std::size_t position = 0; position < tensors.size(); ++position) {
      const auto named = names.find(tensors[position].unsafeGetTensorImpl());
      const auto unnamed =
          "unnamed." + std::to_string(number) + "." + std::to_string(group) + "." + std::to_string(position);
      add({named == names.end() ? unnamed : named->second, tensors[position], std::uint64_t{1} << number, false});
    }
  }
}

void Parameters::list_weights() {
  for (const auto& [name, tensor] : weights_.parameters()) add({name, tensor, 0, false});
  for (const auto& [name, tensor] : weights_.buffers()) add({name, tensor, 0, true});
}

void Parameters::add(WeightSlot slot) {
  if (!slot.tensor.defined()) return;
  const auto place = find(slot.tensor);
  if (place == slots_.size()) {
    slots_.push_back(std::move(slot));
  } else {
    slots_[place].owners |= slot.owners;
  }
}

bool Parameters::refresh() {
  if (identities() == identities_ && columns_fit()) return false;
  list();
  return true;
}

std::vector<const void*> Parameters::identities() const {
  std::vector<const void*> found;
  found.reserve(identities_.size());
  for (const auto& optimizer : optimizers_) {
    for (std::size_t group = 0; group < optimizer->groups(); ++group) {
      for (const auto& tensor : optimizer->parameters(group)) found.push_back(tensor.unsafeGetTensorImpl());
    }
  }
  weights_.identities(found);
  return found;
}

bool Parameters::columns_fit() const {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const auto& tensor = slots_[i].tensor;
    if (tensor.sizes() != at::IntArrayRef(*columns_[i].shape)) return false;
    if (tensor.scalar_type() != scalar_type(columns_[i].dtype)) return false;
  }
  return true;
}

}  // namespace samestep::capture
