// The UCI handwritten digits as training data: 1797 images of 8 x 8 pixels.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace samestep::trainers {

struct LabelledImages {
  at::Tensor images;  // float [n, 1, 8, 8], 0 to 1
  at::Tensor labels;  // int64 [n]
};

// Every sixth image is kept for validation.
struct Digits {
  LabelledImages training;
  LabelledImages validation;
};

// Reads lines of 64 pixels (0 to 16) and a digit, separated by commas. Throws std::runtime_error naming file and line.
[[nodiscard]] Digits read_digits(const std::string& file);

// Goes through the images in a new random order every epoch. The order comes from a generator of its own; cursor and
// generator are all that must be restored to go on from the middle of an epoch.
class Shuffled {
 public:
  // REQUIRES: at least `batch` images.
  Shuffled(LabelledImages data, std::int64_t batch, std::uint64_t seed);
  // Images [batch, 1, 8, 8] and labels [batch]; a remainder at the end of an epoch is left out.
  [[nodiscard]] std::pair<at::Tensor, at::Tensor> next();
  [[nodiscard]] std::vector<at::Tensor> state() const;
  void restore(const std::vector<at::Tensor>& state);

 private:
  void shuffle();
  LabelledImages data_;
  std::int64_t batch_;
  at::Generator generator_;
  at::Tensor order_;  // int64 [n]
  std::int64_t position_ = 0;
};

}  // namespace samestep::trainers
