// The smallest recorded training: a line through noisy points. Started plainly it just trains; under
// `samestep record -- ./linear_regression` every step is recorded, and `samestep replay` runs any of them again.
#include <samestep/session.h>

#include <cstdio>

namespace {

// Points around y = 3 x - 2, a new batch at each call. Draws from the global generator, which the session restores;
// how many were handed out is the program's own business, so the program keeps it.
class Points {
 public:
  std::pair<at::Tensor, at::Tensor> next() {
    ++batches_;
    const auto x = torch::randn({32, 1});
    return {x, 3 * x - 2 + 0.1 * torch::randn({32, 1})};
  }
  [[nodiscard]] std::int64_t batches() const { return batches_; }
  void go_on_after(std::int64_t batches) { batches_ = batches; }

 private:
  std::int64_t batches_ = 0;
};

}  // namespace

int main() {
  torch::manual_seed(7);
  torch::nn::Linear model(1, 1);
  torch::optim::SGD optimizer(model->parameters(), torch::optim::SGDOptions(0.05).momentum(0.9));
  Points points;

  samestep::Session session{model, optimizer};
  session.keep(
      "points", [&] { return points.batches(); }, [&](std::int64_t n) { points.go_on_after(n); });
  for (const auto step : session.steps(60)) {
    const auto [x, y] = points.next();
    step.batch(x, y);
    const auto loss = torch::mse_loss(model(x), y);
    step.loss(loss);
    optimizer.zero_grad();
    loss.backward();
    step.update();
    if (step % 20 == 19) std::printf("step %3d  loss %.6f\n", static_cast<int>(step), loss.item<double>());
  }
  std::printf("y = %.3f x + %.3f after %d batches\n", model->weight.item<double>(), model->bias.item<double>(),
              static_cast<int>(points.batches()));
}
