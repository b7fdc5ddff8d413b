// The training program as capture sees it, in whatever language it was written: named weights, and optimizers with
// their options and state. libtorch_program.h makes one of LibTorch modules and optimizers; the Python package makes
// its own. Everything else in this folder knows only these two interfaces.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "replay/recorder/protocol.h"

namespace samestep::capture {

struct NamedWeight {
  std::string name;
  at::Tensor tensor;
};

class Weights {
 public:
  virtual ~Weights() = default;
  // In module order, with the names the modules give; a tensor that several modules share comes once for each name.
  [[nodiscard]] virtual std::vector<NamedWeight> parameters() const = 0;
  [[nodiscard]] virtual std::vector<NamedWeight> buffers() const = 0;
  // The objects behind both, repetitions included, without building a name: asked at every step, to see whether one was
  // added, removed or replaced.
  virtual void identities(std::vector<const void*>& found) const = 0;
};

// Every option of a parameter group: numbers as they are, flags as 0 or 1, a pair as "betas0", "betas1".
using Options = std::map<std::string, double>;

// One item of a parameter's optimizer state.
struct StateItem {
  enum class Kind : std::uint8_t { like_parameter, integer, real, list };  // list: any number of tensors, any shapes
  std::size_t group = 0, position = 0;
  std::string key;  // "exp_avg"
  Kind kind = Kind::like_parameter;
  std::vector<at::Tensor> tensors;  // none: not there (yet)
};

// What a parameter's state is restored from: the tensors of an item (in host memory; empty: not there).
using StateSource = std::function<std::vector<at::Tensor>(const std::string& key)>;
// Every key that a recorded optimizer's state had, and what it was.
using StateKinds = std::map<std::string, StateItem::Kind>;

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // "AdamW"
  [[nodiscard]] virtual std::string class_name() const = 0;
  // False where options or state are of a class that cannot be read; then options() gives what there is, state()
  // nothing.
  [[nodiscard]] virtual bool known() const = 0;

  [[nodiscard]] virtual std::size_t groups() const = 0;
  [[nodiscard]] virtual const std::vector<at::Tensor>& parameters(std::size_t group) const = 0;
  [[nodiscard]] virtual Options options(std::size_t group) const = 0;
  // Those that differ from what the optimizer has by default, and always "lr".
  [[nodiscard]] virtual Options notable_options(std::size_t group) const = 0;
  // Sets those named in `options`; the others stay.
  virtual void set_options(std::size_t group, const Options& options) = 0;

  // In order: groups, positions, keys in an order of the class's own that does not depend on addresses. An item that
  // the options call for may stand there even before it exists, so that tables of tensors do not depend on when a
  // parameter first had a gradient.
  [[nodiscard]] virtual std::vector<StateItem> state() const = 0;
  // Replaces a parameter's state; one for which `item` gives nothing at all loses its state. REQUIRES known().
  virtual void set_state(std::size_t group, std::size_t position, const StateKinds& kinds, const StateSource& item) = 0;
};

using Optimizers = std::vector<std::unique_ptr<Optimizer>>;

using protocol::Restart;

struct TrainingProgram {
  std::unique_ptr<Weights> weights;
  Optimizers optimizers;
  Restart restart = Restart::jump;
};

}  // namespace samestep::capture
