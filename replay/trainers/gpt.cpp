#include "replay/trainers/gpt.h"

#include <cmath>

namespace samestep::trainers {
namespace {

namespace nn = torch::nn;

// Normal with deviation 0.02; layers that write into the residual stream are divided by sqrt(2 * layers), so that its
// variance does not grow with depth (Radford et al. 2019, section 2.3).
nn::Linear linear(std::int64_t in, std::int64_t out, double deviation = 0.02) {
  nn::Linear layer(in, out);
  nn::init::normal_(layer->weight, 0.0, deviation);
  nn::init::zeros_(layer->bias);
  return layer;
}

double residual_deviation(const GptShape& shape) {
  return 0.02 / std::sqrt(2.0 * static_cast<double>(shape.layers));
}

nn::Embedding embedding_of(std::int64_t count, std::int64_t width) {
  nn::Embedding layer(count, width);
  nn::init::normal_(layer->weight, 0.0, 0.02);
  return layer;
}

nn::LayerNorm norm_of(std::int64_t width) {
  return nn::LayerNorm(nn::LayerNormOptions({width}));
}

}  // namespace

AttentionImpl::AttentionImpl(const GptShape& shape) : heads_(shape.heads), dropout_(shape.dropout) {
  qkv = register_module("qkv", linear(shape.width, 3 * shape.width));
  out = register_module("out", linear(shape.width, shape.width, residual_deviation(shape)));
  drop = register_module("drop", nn::Dropout(shape.dropout));
}

at::Tensor AttentionImpl::forward(const at::Tensor& x) {
  const std::int64_t batch = x.size(0), time = x.size(1), width = x.size(2);
  // [3, batch, heads, time, width / heads]
  const at::Tensor parts = qkv->forward(x).view({batch, time, 3, heads_, width / heads_}).permute({2, 0, 3, 1, 4});
  const at::Tensor y =
      at::scaled_dot_product_attention(parts[0], parts[1], parts[2], {}, is_training() ? dropout_ : 0.0,
                                       /*is_causal=*/true);
  return drop->forward(out->forward(y.transpose(1, 2).reshape({batch, time, width})));
}

BlockImpl::BlockImpl(const GptShape& shape) {
  norm_attention = register_module("norm_attention", norm_of(shape.width));
  attention = register_module("attention", Attention(shape));
  norm_feed_forward = register_module("norm_feed_forward", norm_of(shape.width));
  widen = register_module("widen", linear(shape.width, 4 * shape.width));
  narrow = register_module("narrow", linear(4 * shape.width, shape.width, residual_deviation(shape)));
  drop = register_module("drop", nn::Dropout(shape.dropout));
}

at::Tensor BlockImpl::forward(const at::Tensor& x) {
  const at::Tensor y = x + attention->forward(norm_attention->forward(x));
  return y + drop->forward(narrow->forward(torch::gelu(widen->forward(norm_feed_forward->forward(y)))));
}

GptImpl::GptImpl(const GptShape& shape) {
  embedding = register_module("embedding", embedding_of(shape.vocabulary, shape.width));
  position = register_module("position", embedding_of(shape.block, shape.width));
  drop = register_module("drop", nn::Dropout(shape.dropout));
  blocks = register_module("blocks", nn::ModuleList());
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) blocks->push_back(Block(shape));
  norm = register_module("norm", norm_of(shape.width));
}

at::Tensor GptImpl::forward(const at::Tensor& characters) {
  at::Tensor x = drop->forward(embedding->forward(characters) + position->forward(torch::arange(characters.size(1))));
  for (const auto& block : *blocks) x = block->as<BlockImpl>()->forward(x);
  return torch::matmul(norm->forward(x), embedding->weight.t());
}

}  // namespace samestep::trainers
