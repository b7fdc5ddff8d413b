#include "replay/trainers/digit_models.h"

namespace samestep::trainers {
namespace {

namespace nn = torch::nn;
constexpr std::int64_t pixels = 64;
constexpr std::int64_t classes = 10;

nn::Conv2d convolution(std::int64_t in, std::int64_t out) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, 3).padding(1).bias(false));  // the normalisation has a bias
}

}  // namespace

MlpImpl::MlpImpl(std::int64_t width, double dropout) {
  first = register_module("first", nn::Linear(pixels, width));
  second = register_module("second", nn::Linear(width, width));
  last = register_module("last", nn::Linear(width, classes));
  drop = register_module("drop", nn::Dropout(dropout));
}

at::Tensor MlpImpl::forward(const at::Tensor& images) {
  at::Tensor x = drop->forward(torch::relu(first->forward(images.flatten(1))));
  x = drop->forward(torch::relu(second->forward(x)));
  return last->forward(x);
}

ConvNetImpl::ConvNetImpl(std::int64_t width, double dropout) {
  first = register_module("first", convolution(1, width));
  first_norm = register_module("first_norm", nn::BatchNorm2d(width));
  second = register_module("second", convolution(width, 2 * width));
  second_norm = register_module("second_norm", nn::BatchNorm2d(2 * width));
  drop = register_module("drop", nn::Dropout(dropout));
  last = register_module("last", nn::Linear(2 * width * 4, classes));
}

at::Tensor ConvNetImpl::forward(const at::Tensor& images) {
  at::Tensor x = torch::max_pool2d(torch::relu(first_norm->forward(first->forward(images))), 2);
  x = torch::max_pool2d(torch::relu(second_norm->forward(second->forward(x))), 2);
  return last->forward(drop->forward(x.flatten(1)));
}

}  // namespace samestep::trainers
