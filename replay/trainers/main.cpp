// samestep-train: the settings say which training runs.
#include <exception>
#include <iostream>

#include "replay/trainers/train.h"

int main(int argc, char** argv) {
  using namespace samestep::trainers;
  const Settings settings = parse_settings(argc, argv);
  try {
    settings.model == "gpt" ? train_gpt(settings) : train_digits(settings);
  } catch (const std::exception& error) {
    std::cerr << "samestep-train: " << error.what() << std::endl;
    return 2;
  }
  return 0;
}
