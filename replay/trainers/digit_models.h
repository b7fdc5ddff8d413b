// Two classifiers of 8 x 8 images. Both take float [batch, 1, 8, 8] and return logits [batch, 10].
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace samestep::trainers {

// Two hidden layers of `width` with dropout.
class MlpImpl : public torch::nn::Module {
 public:
  MlpImpl(std::int64_t width, double dropout);
  at::Tensor forward(const at::Tensor& images);

 private:
  torch::nn::Linear first{nullptr}, second{nullptr}, last{nullptr};
  torch::nn::Dropout drop{nullptr};
};
TORCH_MODULE(Mlp);

// Two convolutions with batch normalisation, so with buffers that training moves, then a linear layer.
class ConvNetImpl : public torch::nn::Module {
 public:
  // `width` channels in the first convolution, twice as many in the second.
  ConvNetImpl(std::int64_t width, double dropout);
  at::Tensor forward(const at::Tensor& images);

 private:
  torch::nn::Conv2d first{nullptr}, second{nullptr};
  torch::nn::BatchNorm2d first_norm{nullptr}, second_norm{nullptr};
  torch::nn::Dropout drop{nullptr};
  torch::nn::Linear last{nullptr};
};
TORCH_MODULE(ConvNet);

}  // namespace samestep::trainers
