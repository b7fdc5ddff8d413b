// The language model: AdamW, warm-up and cosine, clipping.
#include "replay/capture/session.h"
#include "replay/trainers/gpt.h"
#include "replay/trainers/progress.h"
#include "replay/trainers/schedule.h"
#include "replay/trainers/text.h"
#include "replay/trainers/train.h"

namespace samestep::trainers {
namespace {

using torch::optim::AdamW;
using torch::optim::AdamWOptions;

at::Tensor next_character_loss(Gpt& model, const at::Tensor& inputs, const at::Tensor& targets) {
  return torch::nn::functional::cross_entropy(model->forward(inputs).flatten(0, 1), targets.flatten());
}

// The mean over fixed windows of the validation text. Draws nothing and leaves the model in training mode.
double evaluate(Gpt& model, const Text& text, const Settings& settings) {
  const torch::NoGradGuard no_gradients;
  model->eval();
  double sum = 0.0;
  for (std::int64_t i = 0; i < settings.eval_batches; ++i) {
    const auto [inputs, targets] =
        spread_windows(text.validation, settings.batch, settings.block, i, settings.eval_batches);
    sum += next_character_loss(model, inputs, targets).item<double>();
  }
  model->train();
  return sum / static_cast<double>(settings.eval_batches);
}

GptShape shape_of(const Settings& settings, const Text& text) {
  return {text.vocabulary, settings.block, settings.layers, settings.heads, settings.width, settings.dropout};
}

}  // namespace

void train_gpt(const Settings& settings) {
  const Text text = read_text(data_file(settings.text, "bible.txt"));
  torch::manual_seed(settings.seed);
  Gpt model(shape_of(settings, text));
  AdamW optimizer(decay_groups(*model, AdamWOptions(settings.learning_rate).betas({0.9, 0.95}), settings.weight_decay));
  Windows data(text.training, settings.batch, settings.block, settings.seed);
  Progress progress(settings);
  progress.begin(*model);

  samestep::Session session{model, optimizer};
  session.keep(
      "data", [&] { return data.state(); }, [&](const at::Tensor& state) { data.restore(state); });
  session.keep(
      "progress", [&] { return progress.state(); }, [&](const auto& state) { progress.restore(state); });
  for (auto step : session.steps(settings.steps)) {
    if (progress.evaluation_due(step) && progress.evaluated(step, evaluate(model, text, settings))) break;
    set_learning_rate(optimizer, learning_rate(settings, step));
    optimizer.zero_grad();
    const auto [inputs, targets] = data.next();
    step.batch(inputs, targets);
    const at::Tensor loss = next_character_loss(model, inputs, targets);
    step.loss(loss);
    loss.backward();
    if (settings.clip > 0) step.clip_grad_norm(settings.clip);
    step.update();
    progress.trained(step, loss);
  }
  progress.end(*model, evaluate(model, text, settings));
}

}  // namespace samestep::trainers
