// What a training prints, and when it stops early.
#pragma once

#include <torch/torch.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "replay/trainers/settings.h"

namespace samestep::trainers {

class Progress {
 public:
  explicit Progress(const Settings& settings) : settings_(settings) {}

  // Says how large the model is.
  void begin(const torch::nn::Module& model) const;
  // Prints the training loss of a step, where one is due, and notes the step's wall time.
  void trained(std::uint64_t step, const at::Tensor& loss);
  // Whether the model is to be evaluated before this step.
  [[nodiscard]] bool evaluation_due(std::uint64_t step) const;
  // Prints a validation loss of the model after `steps` updates; true where patience has run out.
  [[nodiscard]] bool evaluated(std::uint64_t steps, double loss);
  // Prints the final validation loss and writes what the settings ask for: the weights, the step times.
  void end(const torch::nn::Module& model, double loss) const;

  // What must be restored to go on: the best loss so far and the number of evaluations since.
  [[nodiscard]] std::vector<double> state() const { return {best_, static_cast<double>(since_best_)}; }
  void restore(const std::vector<double>& state);

 private:
  [[nodiscard]] std::string text(double loss) const;
  Settings settings_;
  double best_ = std::numeric_limits<double>::infinity();
  std::uint64_t since_best_ = 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::vector<double> milliseconds_;  // of each step run, evaluations included in the step before which they stand
};

// Writes parameters and buffers, in the model's order, as a safetensors file that opens with the `safetensors` Python
// package. Throws std::runtime_error where `file` cannot be written.
void write_weights(const torch::nn::Module& model, const std::string& file);

}  // namespace samestep::trainers
