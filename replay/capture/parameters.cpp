#include "replay/capture/parameters.h"

#include <algorithm>
#include <unordered_map>

#include "replay/capture/tensors.h"

namespace samestep::capture {
namespace {

using Names = std::unordered_map<const void*, std::string>;

std::string join(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

Names parameter_names(const Modules& modules) {
  Names names;
  for (const auto& [prefix, module] : modules) {
    for (const auto& item : module->named_parameters()) {
      if (item.value().defined()) names.emplace(item.value().unsafeGetTensorImpl(), join(prefix, item.key()));
    }
  }
  return names;
}

Column column_of(const WeightSlot& slot) {
  return {slot.name, dtype_of(slot.tensor), shape_of(slot.tensor)};
}

}  // namespace

Parameters::Parameters(const Modules& modules, const Optimizers& optimizers)
    : modules_(modules), optimizers_(optimizers) {
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
  list_modules();
  for (const auto& slot : slots_) columns_.push_back(column_of(slot));
  identities_ = identities();
}

void Parameters::list_optimizer(std::size_t number) {
  const auto names = parameter_names(modules_);
  const auto& groups = optimizers_[number]->param_groups();
  for (std::size_t group = 0; group < groups.size(); ++group) {
    const auto& tensors = groups[group].params();
    for (std::size_t position = 0; position < tensors.size(); ++position) {
      const auto named = names.find(tensors[position].unsafeGetTensorImpl());
      const auto unnamed = "unnamed." + std::to_string(group) + "." + std::to_string(position);
      add({named == names.end() ? unnamed : named->second, tensors[position], std::uint64_t{1} << number, false});
    }
  }
}

void Parameters::list_modules() {
  for (const auto& [prefix, module] : modules_) {
    for (const auto& item : module->named_parameters()) add({join(prefix, item.key()), item.value(), 0, false});
  }
  for (const auto& [prefix, module] : modules_) {
    for (const auto& item : module->named_buffers()) add({join(prefix, item.key()), item.value(), 0, true});
  }
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
  const auto note = [&](const at::Tensor& tensor) { found.push_back(tensor.unsafeGetTensorImpl()); };
  for (const auto* optimizer : optimizers_) {
    for (const auto& group : optimizer->param_groups()) {
      for (const auto& tensor : group.params()) note(tensor);
    }
  }
  for (const auto& [prefix, module] : modules_) {
    for (const auto& tensor : module->parameters()) note(tensor);
    for (const auto& tensor : module->buffers()) note(tensor);
  }
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
