// `samestep bisect --requirements`: options, and what is done with them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "bisect/bisect.h"

namespace samestep::cli {

struct RequirementsArguments {
  CLI::Option* asked = nullptr;  // given or not
  std::vector<std::string> locks;
  std::string base = "python3";
};

void add_requirements_options(CLI::App* verb, RequirementsArguments& arguments);

// `options`: what it has in common with a bisect over commits. Prints the answer and returns the exit code.
int run_bisect_requirements(const RequirementsArguments& arguments, const BisectOptions& options, bool json);

}  // namespace samestep::cli
