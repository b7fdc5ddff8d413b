#include "replay/trainers/progress.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <stdexcept>

namespace samestep::trainers {

void Progress::begin(const torch::nn::Module& model) const {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : model.parameters()) count += parameter.numel();
  std::cout << settings_.model << ": " << count << " parameters, " << settings_.steps << " steps, seed "
            << settings_.seed << std::endl;
}

void Progress::trained(std::uint64_t step, const at::Tensor& loss) {
  const auto now = std::chrono::steady_clock::now();
  milliseconds_.push_back(std::chrono::duration<double, std::milli>(now - last_).count());
  last_ = now;
  if (step % settings_.log_every != 0 && step + 1 != settings_.steps) return;
  std::cout << "step " << std::setw(5) << step << "  loss " << text(loss.item<double>()) << std::endl;
}

bool Progress::evaluation_due(std::uint64_t step) const {
  return settings_.eval_every != 0 && step != 0 && step % settings_.eval_every == 0;
}

bool Progress::evaluated(std::uint64_t steps, double loss) {
  std::cout << "after " << std::setw(4) << steps << "  validation loss " << text(loss) << std::endl;
  since_best_ = loss < best_ ? 0 : since_best_ + 1;
  best_ = std::min(best_, loss);
  const bool stop = settings_.patience != 0 && since_best_ >= settings_.patience;
  if (stop) std::cout << "stopped early: no better validation loss in " << since_best_ << " evaluations" << std::endl;
  return stop;
}

void Progress::end(const torch::nn::Module& model, double loss) const {
  std::cout << "at the end  validation loss " << text(loss) << std::endl;
  if (!settings_.save.empty()) write_weights(model, settings_.save);
  if (settings_.step_times.empty()) return;
  std::ofstream out(settings_.step_times);
  for (double time : milliseconds_) out << time << '\n';
  if (!out.flush()) throw std::runtime_error("cannot write the step times to " + settings_.step_times);
}

void Progress::restore(const std::vector<double>& state) {
  best_ = state.at(0);
  since_best_ = static_cast<std::uint64_t>(state.at(1));
}

std::string Progress::text(double loss) const {
  std::array<char, 40> digits{};
  std::snprintf(digits.data(), digits.size(), settings_.full_precision ? "%.17g" : "%.4f", loss);
  return digits.data();
}

}  // namespace samestep::trainers
