// python/binding/ is the native half of the Python package: it takes the tensors that the hooks hand over and gives
// them to replay/capture/. It may include replay/capture/; nothing includes it. Built as one shared library that
// registers the class torch.classes.samestep.Recording (recording_class.cpp); it does not link libtorch_python, so one
// build serves any CPython 3 with the torch it was built against.
//
// This header: a training program whose parts are handed over piece by piece, because only Python can reach them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "replay/capture/training_program.h"

namespace samestep::python {

class HandedWeights : public capture::Weights {
 public:
  void hand(std::vector<capture::NamedWeight> parameters, std::vector<capture::NamedWeight> buffers);

  [[nodiscard]] std::vector<capture::NamedWeight> parameters() const override { return parameters_; }
  [[nodiscard]] std::vector<capture::NamedWeight> buffers() const override { return buffers_; }
  void identities(std::vector<const void*>& found) const override;

 private:
  std::vector<capture::NamedWeight> parameters_, buffers_;
};

// A value that the program keeps by a name, as Python has handed it; what is restored waits for Python to fetch it.
struct HandedValue {
  std::vector<at::Tensor> tensors;
  std::optional<std::vector<at::Tensor>> restored;
};

class HandedOptimizer : public capture::Optimizer {
 public:
  explicit HandedOptimizer(std::string class_name) : class_name_(std::move(class_name)) {}

  // Replace what was handed before. Options not handed for a group are none.
  void hand_groups(std::vector<std::vector<at::Tensor>> groups);
  void hand_options(std::vector<capture::Options> options, std::vector<capture::Options> notable);
  void hand_state(std::vector<capture::StateItem> state) { state_ = std::move(state); }

  [[nodiscard]] std::string class_name() const override { return class_name_; }
  [[nodiscard]] bool known() const override { return true; }
  [[nodiscard]] std::size_t groups() const override { return groups_.size(); }
  [[nodiscard]] const std::vector<at::Tensor>& parameters(std::size_t group) const override { return groups_[group]; }
  [[nodiscard]] capture::Options options(std::size_t group) const override;
  [[nodiscard]] capture::Options notable_options(std::size_t group) const override;
  [[nodiscard]] std::vector<capture::StateItem> state() const override { return state_; }
  // Keeps them, for Python to fetch.
  void set_options(std::size_t group, const capture::Options& options) override;
  [[nodiscard]] std::vector<std::pair<std::size_t, capture::Options>> take_options() {
    return std::exchange(set_options_, {});
  }
  // Keeps what is to be put into the optimizer, for Python to fetch.
  void set_state(std::size_t group, std::size_t position, const capture::StateKinds& kinds,
                 const capture::StateSource& item) override;
  [[nodiscard]] std::vector<capture::StateItem> take_restored() { return std::move(restored_); }

 private:
  std::string class_name_;
  std::vector<std::vector<at::Tensor>> groups_;
  std::vector<capture::Options> options_, notable_;
  std::vector<capture::StateItem> state_, restored_;
  std::vector<std::pair<std::size_t, capture::Options>> set_options_;
};

}  // namespace samestep::python
