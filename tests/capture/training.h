// Small trainings that the tests record and replay: a net with dropout (draws), batch normalisation (buffers) and data
// drawn from the global generator, under any of LibTorch's optimizers.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/digest.h"
#include "replay/capture/session.h"

namespace samestep::testing {

struct NetImpl : torch::nn::Module {
  NetImpl();
  at::Tensor forward(const at::Tensor& x);
  torch::nn::Linear first{nullptr}, last{nullptr};
  torch::nn::BatchNorm1d norm{nullptr};
};
TORCH_MODULE(Net);

inline const std::vector<std::string> optimizer_names{"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Amsgrad", "LBFGS"};
[[nodiscard]] std::unique_ptr<torch::optim::Optimizer> make_optimizer(const std::string& name,
                                                                      std::vector<at::Tensor> parameters);

struct Batch {
  at::Tensor x, y;
};
[[nodiscard]] Batch draw_batch();

struct Plan {
  std::string optimizer = "AdamW";
  std::uint64_t steps = 12;
  std::uint64_t seed = 7;
  std::function<void(Session&, Net&, torch::optim::Optimizer&)> before{};           // before steps()
  std::function<void(const Step&, Net&, torch::optim::Optimizer&)> after_update{};  // in the loop, behind update()
};
// Trains and returns the weights and buffers at the end.
std::vector<at::Tensor> train(const Plan& plan);

[[nodiscard]] std::vector<at::Tensor> weights_of(torch::nn::Module& module);
[[nodiscard]] bool equal_bits(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b);
// BLAKE3 of a tensor's bytes, computed without the code under test.
[[nodiscard]] Digest digest_of(const at::Tensor& tensor);

}  // namespace samestep::testing
