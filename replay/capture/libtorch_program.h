// A training program made of LibTorch's own modules and optimizers.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "replay/capture/training_program.h"

namespace samestep::capture {

// `optimizers` must outlive the result; modules are held. A name prefixes its module's parameters; "" adds none.
[[nodiscard]] TrainingProgram libtorch_program(
    std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>> modules,
    const std::vector<torch::optim::Optimizer*>& optimizers);

}  // namespace samestep::capture
