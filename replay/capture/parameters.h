// The parameters and buffers of a session, in canonical order: optimizer order (group, position), then parameters that
// no optimizer owns in module order, then buffers in module order. A tensor that is met twice (tied, or given to two
// optimizers) stands once, at its first place; its name is the first that the modules give it.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "replay/capture/training_program.h"
#include "replay/run/record.h"

namespace samestep::capture {

inline constexpr std::size_t max_optimizers = 64;

struct WeightSlot {
  std::string name;
  at::Tensor tensor;
  std::uint64_t owners = 0;  // bit i: optimizer i updates it; none for buffers and parameters that nobody owns
  bool buffer = false;

  [[nodiscard]] bool owned_by(std::size_t optimizer) const { return (owners >> optimizer & 1) != 0; }
  // True where a step of `optimizer` records it: its own parameters, and what no optimizer owns.
  [[nodiscard]] bool covered_by(std::size_t optimizer) const { return owners == 0 || owned_by(optimizer); }
};

class Parameters {
 public:
  // REQUIRES optimizers.size() <= max_optimizers. All outlive the object.
  Parameters(const Weights& weights, const Optimizers& optimizers);

  [[nodiscard]] const std::vector<WeightSlot>& slots() const { return slots_; }
  [[nodiscard]] const std::vector<Column>& columns() const { return columns_; }
  // The slot of a tensor, or slots().size().
  [[nodiscard]] std::size_t find(const at::Tensor& tensor) const;

  // Looks again. True where a tensor was added, removed, replaced by another object, or changed its shape or type.
  // Cheap enough for every step: no names are built where nothing changed.
  bool refresh();

 private:
  void list();
  void list_optimizer(std::size_t number);
  void list_weights();
  void add(WeightSlot slot);
  [[nodiscard]] std::vector<const void*> identities() const;
  [[nodiscard]] bool columns_fit() const;

  const Weights& weights_;
  const Optimizers& optimizers_;
  std::vector<WeightSlot> slots_;
  std::vector<Column> columns_;
  std::vector<const void*> identities_;  // of everything that optimizers and modules list, repetitions included
};

}  // namespace samestep::capture
