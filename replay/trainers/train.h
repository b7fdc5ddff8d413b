// replay/trainers/ holds the built-in training programs: samestep-train. Each is a plain LibTorch program that uses
// Samestep's public API (replay/capture/session.h) and nothing else of this project, so it also shows how an own
// program is made recordable. Settings come in from the command line and configs/, data from files; losses go to
// standard output.
//
// A training is deterministic given its settings, the processor and the thread count. Three habits make it replayable
// from any anchor, and are worth copying:
//   - what the loop carries from step to step besides weights and optimizer (the data cursor, the best loss so far) is
//     given to session.keep();
//   - schedules are computed from the step's number;
//   - evaluation draws no random number and leaves the model as it found it, so it can be moved or left out.
#pragma once

#include "replay/trainers/settings.h"

namespace samestep::trainers {

void train_gpt(const Settings& settings);
void train_digits(const Settings& settings);  // mlp and convnet

}  // namespace samestep::trainers
