// torch.classes.samestep.Recording: one training process's recording, driven by the hooks of
// python/samestep/_hooks.py and _moments.py. Python calls, for each step: forward (F, once a micro-batch), loss,
// before_update (P), after_update (O). What capture asks of weights and optimizers it asks of what was handed over
// last; the hooks hand it over again where it has changed.
#include <torch/custom_class.h>
#include <torch/torch.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "python/binding/handed_program.h"
#include "replay/capture/generators.h"
#include "replay/capture/recording.h"

namespace samestep::python {
namespace {

using capture::NamedWeight;
using capture::Options;
using Tensors = std::vector<at::Tensor>;
using Names = std::vector<std::string>;

std::vector<NamedWeight> named(const Names& names, const Tensors& tensors) {
  TORCH_CHECK(names.size() == tensors.size(), "as many names as tensors");
  std::vector<NamedWeight> weights;
  for (std::size_t i = 0; i < names.size(); ++i) weights.push_back({names[i], tensors[i]});
  return weights;
}

class PythonRecording : public torch::CustomClassHolder {
 public:
  PythonRecording() {
    loop_.end = std::numeric_limits<std::uint64_t>::max();
    loop_.started = true;
    auto weights = std::make_unique<HandedWeights>();
    weights_ = weights.get();
    program_.weights = std::move(weights);
    program_.restorable = false;
  }

  void hand_weights(const Names& parameter_names, const Tensors& parameters, const Names& buffer_names,
                    const Tensors& buffers) {
    weights_->hand(named(parameter_names, parameters), named(buffer_names, buffers));
  }

  // Its number.
  std::int64_t add_optimizer(const std::string& class_name) {
    TORCH_CHECK(optimizers_.size() < capture::max_optimizers, "at most ", capture::max_optimizers, " optimizers");
    auto optimizer = std::make_unique<HandedOptimizer>(class_name);
    optimizers_.push_back(optimizer.get());
    if (recording_ != nullptr) {
      recording_->add_optimizer(std::move(optimizer));
    } else {
      program_.optimizers.push_back(std::move(optimizer));
    }
    return static_cast<std::int64_t>(optimizers_.size()) - 1;
  }

  void hand_groups(std::int64_t optimizer, std::vector<Tensors> groups) {
    of(optimizer).hand_groups(std::move(groups));
  }

  // For each option: its group, its name, its value, and whether it differs from the optimizer's default.
  void hand_options(std::int64_t optimizer, const std::vector<std::int64_t>& groups, const Names& names,
                    const std::vector<double>& values, const std::vector<std::int64_t>& notable) {
    std::vector<Options> all(of(optimizer).groups()), differing(all.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto group = static_cast<std::size_t>(groups.at(i));
      all.at(group)[names[i]] = values.at(i);
      if (notable.at(i) != 0) differing.at(group)[names[i]] = values.at(i);
    }
    of(optimizer).hand_options(std::move(all), std::move(differing));
  }

  // For each item: group, position in it, key, kind (StateItem::Kind), tensors.
  void hand_state(std::int64_t optimizer, const std::vector<std::int64_t>& groups,
                  const std::vector<std::int64_t>& positions, const Names& keys, const std::vector<std::int64_t>& kinds,
                  const std::vector<Tensors>& tensors) {
    std::vector<capture::StateItem> items;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      items.push_back({static_cast<std::size_t>(groups.at(i)), static_cast<std::size_t>(positions.at(i)), keys[i],
                       static_cast<capture::StateItem::Kind>(kinds.at(i)), tensors.at(i)});
    }
    of(optimizer).hand_state(std::move(items));
  }

  // Python's own generators, as bytes.
  void hand_generators(const Names& names, const Tensors& states) {
    std::vector<capture::GeneratorState> all;
    for (std::size_t i = 0; i < names.size(); ++i) all.push_back({names[i], states.at(i)});
    capture::set_foreign_generators(std::move(all));
  }

  // "off", "record" or "replay". Once, at the first training event.
  std::string open() {
    recording_ = capture::Recording::open(std::move(program_), loop_);
    loop_.recording = recording_.get();
    if (recording_ == nullptr) return "off";
    recording_->begin();
    return recording_->replaying() ? "replay" : "record";
  }

  void forward(const Tensors& batch) {
    if (live()) recording_->batch(batch);
  }
  void loss(const at::Tensor& value) {
    if (live()) recording_->loss(value);
  }
  void hyper(const std::string& name, double value) {
    if (live()) recording_->hyper(name, value);
  }
  void before_update(std::int64_t optimizer, bool inside_closure) {
    if (live()) recording_->before_update(static_cast<std::size_t>(optimizer), inside_closure);
  }
  // True where the coming O reads the optimizers' state: hand_state() first.
  bool state_wanted() const { return live() && recording_->state_wanted(); }
  void after_update(std::int64_t optimizer, bool skipped) {
    if (!live()) return;
    recording_->after_update(static_cast<std::size_t>(optimizer), skipped);
    ++loop_.next;
  }
  void event(const std::string& kind, const std::string& text) {
    if (live()) recording_->notice(kind, text);
  }

  // What is imported, where installed packages lie, and the script; `moment` is "start" or "end".
  void code(const std::string& moment, const std::string& script, const Names& module_names, const Names& module_paths,
            const Names& search_path) {
    TORCH_CHECK(module_names.size() == module_paths.size(), "as many names as paths");
    if (recording_ == nullptr) return;
    protocol::Code code{moment, script, {}, {}, search_path};
    for (std::size_t i = 0; i < module_names.size(); ++i) code.modules.emplace_back(module_names[i], module_paths[i]);
    recording_->code(std::move(code));
  }

  bool live() const { return recording_ != nullptr && recording_->live(); }
  // A replay has seen what it asked for.
  bool stopped() const { return loop_.stopped || loop_.next >= loop_.end; }
  std::int64_t steps() const { return static_cast<std::int64_t>(loop_.next); }
  void bye(bool by_exception) {
    if (recording_ != nullptr) recording_->bye(by_exception);
    recording_.reset();
  }

 private:
  HandedOptimizer& of(std::int64_t optimizer) { return *optimizers_.at(static_cast<std::size_t>(optimizer)); }

  capture::Loop loop_;
  capture::TrainingProgram program_;  // until open()
  HandedWeights* weights_ = nullptr;
  std::vector<HandedOptimizer*> optimizers_;
  std::unique_ptr<capture::Recording> recording_;
};

TORCH_LIBRARY(samestep, library) {
  library.class_<PythonRecording>("Recording")
      .def(torch::init<>())
      .def("hand_weights", &PythonRecording::hand_weights)
      .def("add_optimizer", &PythonRecording::add_optimizer)
      .def("hand_groups", &PythonRecording::hand_groups)
      .def("hand_options", &PythonRecording::hand_options)
      .def("hand_state", &PythonRecording::hand_state)
      .def("hand_generators", &PythonRecording::hand_generators)
      .def("open", &PythonRecording::open)
      .def("forward_", &PythonRecording::forward)
      .def("loss", &PythonRecording::loss)
      .def("hyper", &PythonRecording::hyper)
      .def("before_update", &PythonRecording::before_update)
      .def("state_wanted", &PythonRecording::state_wanted)
      .def("after_update", &PythonRecording::after_update)
      .def("event", &PythonRecording::event)
      .def("code", &PythonRecording::code)
      .def("live", &PythonRecording::live)
      .def("stopped", &PythonRecording::stopped)
      .def("steps", &PythonRecording::steps)
      .def("bye", &PythonRecording::bye);
}

}  // namespace
}  // namespace samestep::python
