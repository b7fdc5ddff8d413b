// Anchors: the full training state after S updates, as a safetensors file, and its way back into a program.
//
// Tensors "weights_out/<column>", "optimizer/<column>", "rng/<column>", "state/<column>/<i>", "reached/<variable>" hold
// the state at O of step S - 1, in canonical order, so that the log's digests of that step vouch for them. Where the
// program changed something between O and the end of the iteration (an evaluation drew random numbers, weights were
// clipped, a data cursor moved on), "resume/<the same name>" holds what it was there: a restart enters the loop at the
// top of the next iteration and takes that.
//
// Metadata "samestep": JSON {format, rank, step, number, optimizers: [{class, groups: [{options, initial}],
// kinds: {key: StateItem::Kind}}], hyper}; `number` is the program's own number of the step, `options` those at the end
// of the iteration, `initial` those when the loop began or the group first took part.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "replay/capture/entries.h"
#include "replay/capture/generators.h"

namespace samestep::capture {

// What makes up the state of a training program. All outlive the object.
struct Program {
  const Parameters& parameters;
  const Optimizers& optimizers;
  const std::vector<Kept>& kept;
  const std::vector<NamedTensor>& reached;  // what the program's variables hold besides, and depends on weights
};

// Options by optimizer and group.
using AllOptions = std::vector<std::vector<Options>>;
// Takes into `first` the options of optimizers and groups that it has not, or has without any; forgets the groups that
// are no more.
void add_first_options(AllOptions& first, const Optimizers& optimizers);

class AnchorCut {
 public:
  // Copies the state at O. `step` is S; `number` the program's own number of the step that comes next.
  AnchorCut(const Program& program, std::uint64_t step, std::uint64_t number);
  // The file, with what has changed since. Call at the end of the iteration.
  [[nodiscard]] MemoryFile finish(const Program& program, const AllOptions& initial, const Options& hyper,
                                  std::uint32_t rank) const;
  [[nodiscard]] std::uint64_t step() const { return step_; }

 private:
  [[nodiscard]] std::vector<NamedTensor> with_changes(const Program& program) const;
  std::uint64_t step_, number_;
  std::vector<NamedTensor> tensors_;
};

struct Restored {
  std::uint64_t number = 0;          // the program's own number of the step to run next
  std::vector<std::string> notes;    // what was found different, one sentence each
  std::vector<NamedTensor> reached;  // to be put into the program's variables by whoever can reach them
};
// Puts the anchor's state into the program: weights in place, by name, else by position and shape. Nothing is changed
// unless everything fits. An option is set only where the program began with the value that the recorded one began with
// and a schedule moved it since: a constant that somebody changed in the code must not be hidden by the anchor.
// Throws BrokenInput naming the tensor, what was expected and found.
[[nodiscard]] Restored restore_anchor(std::span<const std::byte> file, const Program& program, std::uint64_t step,
                                      const AllOptions& initial);

// Only the states of the generators, as restore_anchor() puts them in. Throws BrokenInput.
void restore_anchor_generators(std::span<const std::byte> file, std::uint64_t step);

}  // namespace samestep::capture
