// A training whose author forgot session.keep(): its data come from a generator that no anchor holds.
#include <ATen/CPUGeneratorImpl.h>

#include "replay/capture/session.h"

int main() {
  torch::manual_seed(1);
  torch::nn::Linear model(4, 1);
  torch::optim::SGD optimizer(model->parameters(), 0.01);
  at::Generator data = at::make_generator<at::CPUGeneratorImpl>(std::uint64_t{2});
  samestep::Session session{model, optimizer};
  for (auto step : session.steps(20)) {
    const at::Tensor x = torch::randn({8, 4}, data);
    optimizer.zero_grad();
    step.batch(x);
    const at::Tensor loss = model->forward(x).square().mean();
    step.loss(loss);
    loss.backward();
    step.update();
  }
}
