// Options and state of LibTorch's optimizers (SGD, Adam, AdamW, RMSprop, Adagrad, L-BFGS) and of classes derived from
// them, by name. Keys of the state are addresses: it is always walked in the order of the parameter groups.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "replay/capture/training_program.h"

namespace samestep::capture {

// "AdamW"; for a class that is not LibTorch's, its own name.
[[nodiscard]] std::string class_name(const torch::optim::Optimizer& optimizer);
// False for an optimizer whose options or state are of a class that this file does not know.
[[nodiscard]] bool known(torch::optim::Optimizer& optimizer);

// Besides what Options says: an absent limit as -1, a line search as 1 where one is set. Of an unknown class, what
// there is: "lr", or nothing.
[[nodiscard]] Options options_of(torch::optim::OptimizerParamGroup& group);
// Those that differ from what the class has by itself, and always "lr".
[[nodiscard]] Options notable_options(torch::optim::OptimizerParamGroup& group);
// Sets those named in `options`; the others stay.
void set_options(torch::optim::OptimizerParamGroup& group, const Options& options);

// The state in order: groups, positions, keys as the class declares them. An item that the options call for stands
// there even before it exists, so that tables of tensors do not depend on when a parameter first had a gradient.
[[nodiscard]] std::vector<StateItem> state_of(torch::optim::Optimizer& optimizer);

// Replaces a parameter's state by what `item(key)` gives (in host memory; empty: not there). A parameter for which it
// gives nothing at all loses its state. REQUIRES known(optimizer).
void set_state(torch::optim::Optimizer& optimizer, std::size_t group, std::size_t position, const StateSource& item);

}  // namespace samestep::capture
