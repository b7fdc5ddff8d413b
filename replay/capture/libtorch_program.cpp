#include "replay/capture/libtorch_program.h"

#include "replay/capture/optimizer_state.h"

namespace samestep::capture {
namespace {

using Modules = std::vector<std::pair<std::string, std::shared_ptr<torch::nn::Module>>>;

std::string join(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

class ModuleWeights : public Weights {
 public:
  explicit ModuleWeights(Modules modules) : modules_(std::move(modules)) {}

  [[nodiscard]] std::vector<NamedWeight> parameters() const override {
    std::vector<NamedWeight> found;
    for (const auto& [prefix, module] : modules_) {
      for (const auto& item : module->named_parameters()) found.push_back({join(prefix, item.key()), item.value()});
    }
    return found;
  }
  [[nodiscard]] std::vector<NamedWeight> buffers() const override {
    std::vector<NamedWeight> found;
    for (const auto& [prefix, module] : modules_) {
      for (const auto& item : module->named_buffers()) found.push_back({join(prefix, item.key()), item.value()});
    }
    return found;
  }
  void identities(std::vector<const void*>& found) const override {
    for (const auto& [prefix, module] : modules_) {
      for (const auto& tensor : module->parameters()) found.push_back(tensor.unsafeGetTensorImpl());
      for (const auto& tensor : module->buffers()) found.push_back(tensor.unsafeGetTensorImpl());
    }
  }

 private:
  Modules modules_;
};

class LibtorchOptimizer : public Optimizer {
 public:
  explicit LibtorchOptimizer(torch::optim::Optimizer& optimizer) : optimizer_(optimizer) {}

  [[nodiscard]] std::string class_name() const override { return capture::class_name(optimizer_); }
  [[nodiscard]] bool known() const override { return capture::known(optimizer_); }
  [[nodiscard]] std::size_t groups() const override { return optimizer_.param_groups().size(); }
  [[nodiscard]] const std::vector<at::Tensor>& parameters(std::size_t group) const override {
    return optimizer_.param_groups()[group].params();
  }
  [[nodiscard]] Options options(std::size_t group) const override {
    return options_of(optimizer_.param_groups()[group]);
  }
  [[nodiscard]] Options notable_options(std::size_t group) const override {
    return capture::notable_options(optimizer_.param_groups()[group]);
  }
  void set_options(std::size_t group, const Options& options) override {
    capture::set_options(optimizer_.param_groups()[group], options);
  }
  [[nodiscard]] std::vector<StateItem> state() const override { return state_of(optimizer_); }
  void set_state(std::size_t group, std::size_t position, const StateKinds&, const StateSource& item) override {
    capture::set_state(optimizer_, group, position, item);
  }

 private:
  torch::optim::Optimizer& optimizer_;
};

}  // namespace

TrainingProgram libtorch_program(Modules modules, const std::vector<torch::optim::Optimizer*>& optimizers) {
  TrainingProgram program{std::make_unique<ModuleWeights>(std::move(modules)), {}};
  for (auto* optimizer : optimizers) program.optimizers.push_back(std::make_unique<LibtorchOptimizer>(*optimizer));
  return program;
}

}  // namespace samestep::capture
