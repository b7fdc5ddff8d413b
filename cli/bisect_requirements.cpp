#include "cli/bisect_requirements.h"

#include <iostream>

#include "bisect/requirements_bisect.h"
#include "cli/answer.h"
#include "replay/run/error.h"

namespace samestep::cli {

void add_requirements_options(CLI::App* verb, RequirementsArguments& arguments) {
  arguments.asked =
      verb->add_option(
              "--requirements", arguments.locks,
              "no commits but lock files, oldest first: find the first whose package versions make the training "
              "diverge from RUN; each gets an environment of its own, made by pip and kept")
          ->type_name("FILE...")
          ->expected(2, -1);
  verb->add_option("--base", arguments.base,
                   "with --requirements: the Python whose packages are seen where a lock file pins none (default: "
                   "python3)")
      ->type_name("PYTHON")
      ->needs(arguments.asked);
}

int run_bisect_requirements(const RequirementsArguments& arguments, const BisectOptions& options, bool json) {
  if (!options.run)
    throw BrokenInput("--requirements: give the run first: samestep bisect RUN --requirements FILE FILE... -- COMMAND");
  RequirementsBisectOptions wanted;
  wanted.shared.run = *options.run;
  wanted.shared.folder = options.folder;
  wanted.shared.replay = options.replay;
  wanted.shared.good = options.good;
  wanted.shared.repository = options.repository;
  wanted.shared.build = options.build;
  wanted.shared.build_limits = options.build_limits;
  wanted.shared.cache = options.cache;
  wanted.shared.fresh = options.fresh;
  wanted.shared.finished = options.finished;
  wanted.locks.assign(arguments.locks.begin(), arguments.locks.end());
  wanted.environments.base = arguments.base;
  wanted.environments.cache = LockEnvironmentOptions::default_cache();
  wanted.environments.limits = options.build_limits;
  const RequirementsReport report = bisect_requirements(wanted);
  if (json)
    print(to_json(report));
  else
    std::cout << report << std::flush;
  return exit_code(report.answer);
}

}  // namespace samestep::cli
