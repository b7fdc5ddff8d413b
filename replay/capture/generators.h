// Random number generators of the process, and their states as tensors of bytes.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

namespace samestep::capture {

struct GeneratorState {
  std::string name;  // "cpu", "cuda:0"
  at::Tensor state;  // u8, in host memory, a copy
};

// LibTorch's default generators: the CPU's, then that of each CUDA device the program has used. Reading draws nothing
// and initialises no device.
[[nodiscard]] std::vector<GeneratorState> generator_states();
// Generators that only the program's own language can read (Python's, NumPy's), as they are now; they follow
// LibTorch's.
void set_foreign_generators(std::vector<GeneratorState> states);
// Sets one of LibTorch's; a foreign one's is kept for take_foreign_restored(). Throws std::invalid_argument where there
// is no such generator or the state is not one of it.
void set_generator_state(const std::string& name, const at::Tensor& state);
// States of foreign generators that were to be set since the last call, for whoever can.
[[nodiscard]] std::vector<GeneratorState> take_foreign_restored();

}  // namespace samestep::capture
