// A GPT in the shape of Radford et al. 2019: blocks of pre-normalised causal attention and feed-forward layers, learned
// positions, dropout, and an output layer whose weights are the embedding's.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace samestep::trainers {

struct GptShape {
  std::int64_t vocabulary = 0;
  std::int64_t block = 64;  // longest sequence
  std::int64_t layers = 4;
  std::int64_t heads = 4;
  std::int64_t width = 128;
  double dropout = 0.1;
};

class AttentionImpl : public torch::nn::Module {
 public:
  explicit AttentionImpl(const GptShape& shape);
  at::Tensor forward(const at::Tensor& x);  // [batch, time, width]

 private:
  std::int64_t heads_;
  double dropout_;
  torch::nn::Linear qkv{nullptr}, out{nullptr};
  torch::nn::Dropout drop{nullptr};
};
TORCH_MODULE(Attention);

class BlockImpl : public torch::nn::Module {
 public:
  explicit BlockImpl(const GptShape& shape);
  at::Tensor forward(const at::Tensor& x);  // [batch, time, width]

 private:
  torch::nn::LayerNorm norm_attention{nullptr}, norm_feed_forward{nullptr};
  Attention attention{nullptr};
  torch::nn::Linear widen{nullptr}, narrow{nullptr};
  torch::nn::Dropout drop{nullptr};
};
TORCH_MODULE(Block);

class GptImpl : public torch::nn::Module {
 public:
  explicit GptImpl(const GptShape& shape);
  // Indices int64 [batch, time], time <= block; logits [batch, time, vocabulary].
  at::Tensor forward(const at::Tensor& characters);

 private:
  torch::nn::Embedding embedding{nullptr}, position{nullptr};
  torch::nn::Dropout drop{nullptr};
  torch::nn::ModuleList blocks{nullptr};
  torch::nn::LayerNorm norm{nullptr};
};
TORCH_MODULE(Gpt);

}  // namespace samestep::trainers
