// The two classifiers of handwritten digits: SGD with momentum for the MLP, Adam for the convolutional net.
#include "replay/capture/session.h"
#include "replay/trainers/digit_models.h"
#include "replay/trainers/digits.h"
#include "replay/trainers/progress.h"
#include "replay/trainers/schedule.h"
#include "replay/trainers/train.h"

namespace samestep::trainers {
namespace {

using torch::nn::functional::cross_entropy;

template <class Model>
double evaluate(Model& model, const LabelledImages& data) {
  const torch::NoGradGuard no_gradients;
  model->eval();
  const double loss = cross_entropy(model->forward(data.images), data.labels).template item<double>();
  model->train();
  return loss;
}

// The same loop for any model and optimizer.
template <class Model>
void train(const Settings& settings, const Digits& digits, Model model, torch::optim::Optimizer& optimizer) {
  Shuffled data(digits.training, settings.batch, settings.seed);
  Progress progress(settings);
  progress.begin(*model);

  samestep::Session session{model, optimizer};
  session.keep(
      "data", [&] { return data.state(); }, [&](const auto& state) { data.restore(state); });
  session.keep(
      "progress", [&] { return progress.state(); }, [&](const auto& state) { progress.restore(state); });
  for (auto step : session.steps(settings.steps)) {
    if (progress.evaluation_due(step) && progress.evaluated(step, evaluate(model, digits.validation))) break;
    set_learning_rate(optimizer, learning_rate(settings, step));
    optimizer.zero_grad();
    const auto [images, labels] = data.next();
    step.batch(images, labels);
    const at::Tensor loss = cross_entropy(model->forward(images), labels);
    step.loss(loss);
    loss.backward();
    if (settings.clip > 0) step.clip_grad_norm(settings.clip);
    step.update();
    progress.trained(step, loss);
  }
  progress.end(*model, evaluate(model, digits.validation));
}

void train_mlp(const Settings& settings, const Digits& digits) {
  using torch::optim::SGDOptions;
  Mlp model(settings.width, settings.dropout);
  torch::optim::SGD optimizer(
      decay_groups(*model, SGDOptions(settings.learning_rate).momentum(0.9), settings.weight_decay),
      SGDOptions(settings.learning_rate));
  train(settings, digits, model, optimizer);
}

void train_convnet(const Settings& settings, const Digits& digits) {
  using torch::optim::AdamOptions;
  ConvNet model(settings.width, settings.dropout);
  torch::optim::Adam optimizer(decay_groups(*model, AdamOptions(settings.learning_rate), settings.weight_decay));
  train(settings, digits, model, optimizer);
}

}  // namespace

void train_digits(const Settings& settings) {
  const Digits digits = read_digits(data_file(settings.digits, "digits.csv"));
  torch::manual_seed(settings.seed);
  if (settings.model == "mlp") {
    train_mlp(settings, digits);
  } else {
    train_convnet(settings, digits);
  }
}

}  // namespace samestep::trainers
