// Characters of a text as training data of a language model.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <utility>

namespace samestep::trainers {

// A text as vocabulary indices: the first nine tenths to train on, the rest to evaluate on. A character is a byte; the
// vocabulary is the bytes that occur, in ascending order.
struct Text {
  at::Tensor training;    // uint8 [n]
  at::Tensor validation;  // uint8 [m]
  std::int64_t vocabulary = 0;
};

// Throws std::runtime_error where `file` cannot be read or is shorter than 1000 bytes.
[[nodiscard]] Text read_text(const std::string& file);

// Inputs and targets (the inputs one character on), int64 [batch, block] each.
using Batch = std::pair<at::Tensor, at::Tensor>;

// Draws training windows at random places. It has a generator of its own, so that dropout and data order do not hang
// on each other; its state is all that must be restored to go on from the middle.
class Windows {
 public:
  // REQUIRES: the text is longer than `block`.
  Windows(at::Tensor characters, std::int64_t batch, std::int64_t block, std::uint64_t seed);
  [[nodiscard]] Batch next();
  [[nodiscard]] at::Tensor state() const;
  void restore(const at::Tensor& state);

 private:
  at::Tensor characters_;
  std::int64_t batch_;
  std::int64_t block_;
  at::Generator generator_;
};

// The `index`-th of `count` batches spread evenly over `characters`: the same ones at every evaluation, nothing drawn.
[[nodiscard]] Batch spread_windows(const at::Tensor& characters, std::int64_t batch, std::int64_t block,
                                   std::int64_t index, std::int64_t count);

}  // namespace samestep::trainers
