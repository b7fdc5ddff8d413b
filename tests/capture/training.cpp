#include "training.h"

#include <cstring>

namespace samestep::testing {

NetImpl::NetImpl()
    : first(register_module("first", torch::nn::Linear(6, 16))),
      last(register_module("last", torch::nn::Linear(16, 3))),
      norm(register_module("norm", torch::nn::BatchNorm1d(16))) {}

at::Tensor NetImpl::forward(const at::Tensor& x) {
  return last(torch::dropout(torch::relu(norm(first(x))), 0.2, is_training()));
}

std::unique_ptr<torch::optim::Optimizer> make_optimizer(const std::string& name, std::vector<at::Tensor> parameters) {
  using namespace torch::optim;
  auto p = std::move(parameters);
  if (name == "SGD") return std::make_unique<SGD>(p, SGDOptions(0.1).momentum(0.9).nesterov(true));
  if (name == "Adam") return std::make_unique<Adam>(p, AdamOptions(0.01));
  if (name == "AdamW") return std::make_unique<AdamW>(p, AdamWOptions(0.01).weight_decay(0.1));
  if (name == "Amsgrad") return std::make_unique<Adam>(p, AdamOptions(0.01).amsgrad(true));
  if (name == "RMSprop") return std::make_unique<RMSprop>(p, RMSpropOptions(0.01).momentum(0.5).centered(true));
  if (name == "Adagrad") return std::make_unique<Adagrad>(p, AdagradOptions(0.05));
  return std::make_unique<LBFGS>(p, LBFGSOptions(0.3).max_iter(4).history_size(6));
}

Batch draw_batch() {
  return {torch::randn({10, 6}), torch::randint(3, {10})};
}

namespace {

at::Tensor pass(const Step& step, Net& net, torch::optim::Optimizer& optimizer, const Batch& batch) {
  optimizer.zero_grad();
  step.batch(batch.x, batch.y);
  auto loss = torch::nn::functional::cross_entropy(net(batch.x), batch.y);
  step.loss(loss);
  loss.backward();
  return loss;
}

}  // namespace

std::vector<at::Tensor> train(const Plan& plan) {
  torch::manual_seed(plan.seed);
  Net net;
  const auto optimizer = make_optimizer(plan.optimizer, net->parameters());
  Session session{net, *optimizer};
  if (plan.before) plan.before(session, net, *optimizer);
  for (const auto step : session.steps(plan.steps)) {
    const auto batch = draw_batch();
    if (plan.optimizer == "LBFGS") {
      step.update([&] { return pass(step, net, *optimizer, batch); });
    } else {
      pass(step, net, *optimizer, batch);
      step.update();
    }
    if (plan.after_update) plan.after_update(step, net, *optimizer);
  }
  return weights_of(*net);
}

std::vector<at::Tensor> weights_of(torch::nn::Module& module) {
  std::vector<at::Tensor> weights;
  for (const auto& parameter : module.parameters()) weights.push_back(parameter.detach().clone());
  for (const auto& buffer : module.buffers()) weights.push_back(buffer.clone());
  return weights;
}

bool equal_bits(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].nbytes() != b[i].nbytes()) return false;
    if (std::memcmp(a[i].contiguous().const_data_ptr(), b[i].contiguous().const_data_ptr(), a[i].nbytes()) != 0) {
      return false;
    }
  }
  return true;
}

Digest digest_of(const at::Tensor& tensor) {
  const auto contiguous = tensor.detach().contiguous();
  return digest(std::span(static_cast<const std::byte*>(contiguous.const_data_ptr()), contiguous.nbytes()));
}

}  // namespace samestep::testing
