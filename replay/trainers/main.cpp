// samestep-train: the settings say which training runs.
#include <torch/torch.h>

#include <exception>
#include <iostream>

#include "replay/trainers/train.h"

namespace {

void ask_for_determinism() {
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicFillUninitializedMemory(true);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace samestep::trainers;
  const Settings settings = parse_settings(argc, argv);
  try {
    if (settings.deterministic) ask_for_determinism();
    settings.model == "gpt" ? train_gpt(settings) : train_digits(settings);
  } catch (const std::exception& error) {
    std::cerr << "samestep-train: " << error.what() << std::endl;
    return 2;
  }
  return 0;
}
