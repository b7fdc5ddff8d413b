#include "python/binding/handed_program.h"

#include <utility>

namespace samestep::python {

using capture::NamedWeight;
using capture::Options;

void HandedWeights::hand(std::vector<NamedWeight> parameters, std::vector<NamedWeight> buffers) {
  parameters_ = std::move(parameters);
  buffers_ = std::move(buffers);
}

void HandedWeights::identities(std::vector<const void*>& found) const {
  for (const auto* list : {&parameters_, &buffers_}) {
    for (const auto& weight : *list) found.push_back(weight.tensor.unsafeGetTensorImpl());
  }
}

void HandedOptimizer::hand_groups(std::vector<std::vector<at::Tensor>> groups) {
  groups_ = std::move(groups);
}

void HandedOptimizer::hand_options(std::vector<Options> options, std::vector<Options> notable) {
  options_ = std::move(options);
  notable_ = std::move(notable);
}

Options HandedOptimizer::options(std::size_t group) const {
  return group < options_.size() ? options_[group] : Options{};
}

Options HandedOptimizer::notable_options(std::size_t group) const {
  return group < notable_.size() ? notable_[group] : Options{};
}

void HandedOptimizer::set_options(std::size_t group, const Options& options) {
  if (!options.empty()) set_options_.emplace_back(group, options);
}

void HandedOptimizer::set_state(std::size_t group, std::size_t position, const capture::StateKinds& kinds,
                                const capture::StateSource& item) {
  for (const auto& [key, kind] : kinds) {
    auto tensors = item(key);
    if (!tensors.empty()) restored_.push_back({group, position, key, kind, std::move(tensors)});
  }
}

}  // namespace samestep::python
