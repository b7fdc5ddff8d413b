// The learning rate of a step, computed from its number alone: nothing to restore.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "replay/trainers/settings.h"

namespace samestep::trainers {

// Rises linearly over `warmup` steps, then falls along half a cosine to a tenth at `steps`.
[[nodiscard]] double learning_rate(const Settings& settings, std::uint64_t step);

// Sets the rate of every parameter group.
void set_learning_rate(torch::optim::Optimizer& optimizer, double rate);

// Two groups: matrices, which decay, and vectors (biases, normalisation), which do not. `Options` is the optimizer's.
template <class Options>
[[nodiscard]] std::vector<torch::optim::OptimizerParamGroup> decay_groups(const torch::nn::Module& model,
                                                                          Options options, double weight_decay) {
  std::vector<at::Tensor> matrices, vectors;
  for (const at::Tensor& parameter : model.parameters()) {
    (parameter.dim() >= 2 ? matrices : vectors).push_back(parameter);
  }
  const auto group = [&](std::vector<at::Tensor> parameters, double decay) {
    return torch::optim::OptimizerParamGroup(std::move(parameters),
                                             std::make_unique<Options>(Options(options).weight_decay(decay)));
  };
  return {group(std::move(matrices), weight_decay), group(std::move(vectors), 0.0)};
}

}  // namespace samestep::trainers
