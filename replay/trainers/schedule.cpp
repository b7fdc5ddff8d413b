#include "replay/trainers/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace samestep::trainers {

double learning_rate(const Settings& settings, std::uint64_t step) {
  if (step < settings.warmup) {
    return settings.learning_rate * static_cast<double>(step + 1) / static_cast<double>(settings.warmup);
  }
  const double length =
      static_cast<double>(std::max<std::uint64_t>(settings.steps, settings.warmup + 1) - settings.warmup);
  const double part = std::min(1.0, static_cast<double>(step - settings.warmup) / length);
  return settings.learning_rate * (0.1 + 0.45 * (1.0 + std::cos(std::numbers::pi * part)));
}

void set_learning_rate(torch::optim::Optimizer& optimizer, double rate) {
  for (auto& group : optimizer.param_groups()) group.options().set_lr(rate);
}

}  // namespace samestep::trainers
