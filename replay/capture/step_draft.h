// What has been read of a step that is not committed yet, and the reading of its moments F and P.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "replay/capture/entries.h"

namespace samestep::capture {

// One step's lanes up to P. Lanes of weights and gradients have an entry for every column of their table, whichever
// optimizer will make the update; the record masks those that its step does not cover.
struct StepDraft {
  bool forward_seen = false;  // F
  bool batch_seen = false;    // F was a batch()
  bool batch_stale = false;   // part of it holds nothing: the program is on its way to an anchor
  bool update_seen = false;   // P
  std::int64_t began_ns = 0;

  LaneRecord weights_in, rng, gradients;
  std::vector<Column> rng_columns;
  std::vector<ListItem> batch;
  std::vector<at::Tensor> losses;  // copies
  Options hyper;                   // what hyper() gave, and at P the optimizer's options

  // Copies for a dump; only where one may be asked for.
  std::vector<NamedTensor> kept_weights, kept_batch, kept_gradients;
};

// Moment F: weights (unless null) and generators, and the batch that it came with. Starts the draft over, its batch
// included.
void read_forward(StepDraft& draft, const Parameters* parameters, const std::vector<at::Tensor>& batch);
// More batches of a step whose F is past.
void read_batch(StepDraft& draft, const std::vector<at::Tensor>& batch);
// Moment P: the gradients of what optimizer `number` owns. `sparse` names parameters that have had a sparse gradient;
// it grows.
void read_gradients(StepDraft& draft, const Parameters& parameters, std::size_t number, std::set<std::string>& sparse,
                    bool summarize);
// Moment P: the options of optimizer `number`.
void read_options(StepDraft& draft, const Optimizer& optimizer, std::size_t number);

// The options of optimizer `number` that enter `hyper`, by their names there: "0.group0.lr".
[[nodiscard]] Options hyper_options(const Optimizer& optimizer, std::size_t number);
// The table of the gradients: every parameter that an optimizer owns.
[[nodiscard]] std::vector<Column> gradient_columns(const Parameters& parameters, const std::set<std::string>& sparse);
// The lane of the losses, which stand at `first` and after in a reading that has run.
[[nodiscard]] LaneRecord loss_lane(const std::vector<at::Tensor>& losses, const Reading& reading, std::size_t first);

}  // namespace samestep::capture
