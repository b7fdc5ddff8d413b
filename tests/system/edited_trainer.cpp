// A small training that its arguments sabotage: one edit, in one lane, at one step, of one tensor.
//
//   edited_trainer STEPS                       the training as it should be
//   edited_trainer STEPS LANE STEP TENSOR      the same with one edit
//
// It stands for a trainer whose code was changed: the product has no such switches. Everything is in it that a lane can
// hold: dropout (rng), buffers (batch normalisation), two losses, two parameter groups, clipping, a kept value.
#include <ATen/CPUGeneratorImpl.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "replay/capture/session.h"

extern const double momentum_of_this_build;  // constant_*.cpp: what a rebuilt trainer changes

namespace {

namespace nn = torch::nn;

constexpr std::int64_t features = 12;
constexpr std::int64_t classes = 5;
constexpr std::int64_t rows = 16;
constexpr double learning_rate = 0.05;
constexpr double weight_decay = 1e-3;  // of the first group; the second one's is twice as large

// What to change, when and where. `tensor` is a label as Samestep prints it.
struct Edit {
  std::string what = "nothing";
  std::uint64_t step = 0;
  std::string tensor;
  [[nodiscard]] bool due(const char* kind, std::uint64_t now) const { return what == kind && now == step; }
};

Edit edit_of(int argc, char** argv) {
  if (argc < 5) return {};
  return {argv[2], std::stoull(argv[3]), argv[4]};
}

struct NetImpl : nn::Module {
  NetImpl() {
    first = register_module("first", nn::Linear(features, 24));
    norm = register_module("norm", nn::BatchNorm1d(24));
    drop = register_module("drop", nn::Dropout(0.2));
    last = register_module("last", nn::Linear(24, classes));
  }
  at::Tensor forward(const at::Tensor& x) {
    hidden = drop->forward(torch::relu(norm->forward(first->forward(x))));
    return last->forward(hidden);
  }
  nn::Linear first{nullptr}, last{nullptr};
  nn::BatchNorm1d norm{nullptr};
  nn::Dropout drop{nullptr};
  at::Tensor hidden;
};
TORCH_MODULE(Net);

// One element of a tensor, another one at every step.
void change_element(const at::Tensor& tensor, std::uint64_t step) {
  const torch::NoGradGuard no_gradients;
  const auto element = static_cast<std::int64_t>(step * 7919) % tensor.numel();
  tensor.view(-1)[element] += 1;
}

at::Tensor weight_named(Net& net, const std::string& name) {
  if (auto* parameter = net->named_parameters().find(name)) return *parameter;
  if (auto* buffer = net->named_buffers().find(name)) return *buffer;
  throw std::runtime_error("no weight is called " + name);
}

// SGD with momentum whose update can be made to do more than it should.
class EditedSgd : public torch::optim::SGD {
 public:
  EditedSgd(Net& net, Edit edit, std::uint64_t& now)
      : SGD(groups(net), options()), net_(net), edit_(std::move(edit)), now_(now) {}

  at::Tensor step(LossClosure closure = nullptr) override {
    at::Tensor result = SGD::step(std::move(closure));
    if (edit_.due("weights_out", now_)) change_element(weight_named(net_, edit_.tensor), now_);
    if (edit_.due("optimizer", now_)) change_element(momentum_of(edit_.tensor), now_);
    return result;
  }

 private:
  static torch::optim::SGDOptions options() {
    return torch::optim::SGDOptions(learning_rate).momentum(momentum_of_this_build);
  }
  static std::vector<torch::optim::OptimizerParamGroup> groups(Net& net) {
    const std::vector<at::Tensor> matrices{net->first->weight, net->last->weight};
    const std::vector<at::Tensor> vectors{net->first->bias, net->norm->weight, net->norm->bias, net->last->bias};
    return {torch::optim::OptimizerParamGroup(matrices), torch::optim::OptimizerParamGroup(vectors)};
  }
  // The label is "<optimizer>/<parameter>/momentum_buffer".
  at::Tensor momentum_of(const std::string& label) {
    const auto from = label.find('/') + 1;
    const at::Tensor parameter = weight_named(net_, label.substr(from, label.rfind('/') - from));
    return static_cast<torch::optim::SGDParamState&>(*state().at(parameter.unsafeGetTensorImpl())).momentum_buffer();
  }
  Net net_;
  Edit edit_;
  std::uint64_t& now_;
};

// Sets the options that every step starts from; an edited one has another value for this step. Labels are
// "0.group<i>.lr" and "0.group<i>.weight_decay".
void set_options(torch::optim::Optimizer& optimizer, const Edit& edit, std::uint64_t now) {
  for (std::size_t group = 0; group < optimizer.param_groups().size(); ++group) {
    auto& options = static_cast<torch::optim::SGDOptions&>(optimizer.param_groups()[group].options());
    const auto factor = [&](const char* option) {
      return edit.due("hyper", now) && edit.tensor == "0.group" + std::to_string(group) + option ? 1.5 : 1.0;
    };
    options.lr(learning_rate * factor(".lr"));
    options.weight_decay(weight_decay * static_cast<double>(group + 1) * factor(".weight_decay"));
  }
}

// "#1" is 1.
std::size_t position(const std::string& label) {
  return std::stoul(label.substr(1));
}

// Noise that no seed governs: a broken kernel, a race, faulty memory.
void add_noise(const at::Tensor& tensor) {
  std::uint32_t noise = 0;
  std::ifstream("/dev/urandom").read(reinterpret_cast<char*>(&noise), sizeof noise);
  const torch::NoGradGuard no_gradients;
  tensor.view(-1)[0] += static_cast<double>(noise) * 1e-9 + 1e-3;
}

// True in the first process only that asks in this folder.
bool first_in(const std::string& folder) {
  const std::string file = folder + "/once";
  const int descriptor = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
  if (descriptor >= 0) ::close(descriptor);
  return descriptor >= 0;
}

struct Training {
  explicit Training(Edit what) : edit(std::move(what)) {}

  // Between two steps: what a person, a callback or an evaluation might touch.
  void between_steps() {
    set_options(optimizer, edit, now);
    if (edit.due("weights_in", now)) change_element(weight_named(net, edit.tensor), now);
    if (edit.due("rng", now)) torch::rand({1});
    if (edit.due("state", now)) note += 1;
    optimizer.zero_grad();
  }

  std::vector<at::Tensor> next_batch() {
    std::vector<at::Tensor> batch{torch::randn({rows, features}, data),
                                  torch::randint(classes, {rows}, data, torch::kLong)};
    if (edit.due("batch", now) && position(edit.tensor) == 0) change_element(batch[0], now);
    if (edit.due("batch", now) && position(edit.tensor) == 1) batch[1][0] = (batch[1][0] + 1) % classes;
    return batch;
  }

  // Two losses, and two backward passes.
  std::vector<at::Tensor> losses(const std::vector<at::Tensor>& batch) {
    const at::Tensor logits = net->forward(batch[0]);
    std::vector<at::Tensor> both{nn::functional::cross_entropy(logits, batch[1]), net->hidden.square().mean()};
    if (edit.due("loss", now)) both.at(position(edit.tensor)) = both.at(position(edit.tensor)) * 1.25;
    return both;
  }

  void after_backward() {
    const auto gradient = [](const at::Tensor& parameter) { return parameter.grad(); };
    if (edit.due("gradients", now)) gradient(weight_named(net, edit.tensor)).neg_();
    if (edit.what == "urandom" && now >= edit.step) add_noise(gradient(net->first->weight));
    if (edit.due("once", now) && first_in(edit.tensor)) change_element(gradient(net->first->weight), now);
  }

  Edit edit;
  Net net;
  std::uint64_t now = 0;
  EditedSgd optimizer{net, edit, now};
  at::Generator data = at::make_generator<at::CPUGeneratorImpl>(std::uint64_t{2});
  double note = 0;
};

void train(std::uint64_t steps, const Edit& edit) {
  torch::manual_seed(1);
  Training training(edit);
  samestep::Session session{training.net, training.optimizer};
  session.keep(
      "data", [&] { return training.data.get_state(); }, [&](auto state) { training.data.set_state(state); });
  session.keep(
      "note", [&] { return training.note; }, [&](double value) { training.note = value; });
  for (auto step : session.steps(steps)) {
    training.now = step;
    training.between_steps();
    const auto batch = training.next_batch();
    step.batch_of(batch);
    const auto losses = training.losses(batch);
    for (const at::Tensor& loss : losses) {
      step.loss(loss);
      loss.backward({}, /*retain_graph=*/true);
    }
    step.clip_grad_norm(5.0);
    training.after_backward();
    step.update();
    std::cout << "step " << step.number() << " loss " << losses[0].item<double>() << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: edited_trainer STEPS [EDIT STEP TENSOR]\n";
    return 2;
  }
  train(std::stoull(argv[1]), edit_of(argc, argv));
}
