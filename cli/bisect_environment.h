// `samestep bisect --environment`: options, and what is done with them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "bisect/bisect.h"

namespace samestep::cli {

struct EnvironmentArguments {
  CLI::Option* asked = nullptr;  // given or not
  std::string other_run;
  std::vector<std::string> from;
};

void add_environment_options(CLI::App* verb, EnvironmentArguments& arguments);

// `options`: what it has in common with a bisect over commits. Prints the answer and returns the exit code.
int run_bisect_environment(const EnvironmentArguments& arguments, const BisectOptions& options, bool json);

}  // namespace samestep::cli
