#include "cli/bisect_environment.h"

#include <iostream>

#include "cli/answer.h"
#include "replay/run/error.h"

namespace samestep::cli {

void add_environment_options(CLI::App* verb, EnvironmentArguments& arguments) {
  arguments.asked =
      verb->add_option(
              "--environment", arguments.other_run,
              "no commit: find which differences between the recorded environment and the present one, or that "
              "of OTHER-RUN, make the training diverge from RUN (--good REV: with that revision's files)")
          ->type_name("[OTHER-RUN]")
          ->expected(0, 1);
  verb->add_option("--from", arguments.from,
                   "with --environment: a folder, an environment or a file in which files that changed are as recorded")
      ->allow_extra_args(false)
      ->needs(arguments.asked);
}

int run_bisect_environment(const EnvironmentArguments& arguments, const BisectOptions& options, bool json) {
  if (!options.run)
    throw BrokenInput("--environment: give the run first: samestep bisect RUN --environment [OTHER-RUN] -- COMMAND");
  EnvironmentBisectOptions wanted;
  wanted.run = *options.run;
  if (!arguments.other_run.empty()) wanted.other_run = arguments.other_run;
  wanted.from.assign(arguments.from.begin(), arguments.from.end());
  wanted.folder = options.folder;
  wanted.replay = options.replay;
  wanted.good = options.good;
  wanted.repository = options.repository.empty() ? std::filesystem::current_path() : options.repository;
  wanted.build = options.build;
  wanted.build_limits = options.build_limits;
  wanted.cache = options.cache;
  wanted.fresh = options.fresh;
  wanted.finished = options.finished;
  const EnvironmentReport report = bisect_environment(wanted);
  if (json)
    print(to_json(report));
  else
    std::cout << report << std::flush;
  return exit_code(report);
}

}  // namespace samestep::cli
