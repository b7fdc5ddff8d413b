// `samestep record` without the rest of the command line: RUN [--continue] [--anchor-every N] [--anchor-share S]
// [--anchor-budget BYTES] [--log-budget BYTES] -- COMMAND.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "replay/recorder/record.h"
#include "replay/run/error.h"

int main(int argc, char** argv) {
  samestep::RecordOptions options;
  std::string run;
  std::uint64_t budget = 0;
  CLI::App app{"record"};
  app.add_option("--run", run);
  app.add_flag("--continue", options.continue_run);
  app.add_option("--anchor-every", options.anchor_every);
  app.add_option("--anchor-share", options.anchor_share);
  auto* anchor_budget = app.add_option("--anchor-budget", budget);
  app.add_option("--log-budget", options.log_budget);
  app.add_option("COMMAND", options.argv)->required();
  CLI11_PARSE(app, argc, argv);
  options.run = run;
  options.cwd = std::filesystem::current_path();
  if (anchor_budget->count() > 0) options.anchor_budget = budget;
  try {
    return samestep::record(options);
  } catch (const samestep::BrokenInput& error) {
    std::cerr << "samestep: " << error.what() << "\n";
    return 2;
  }
}
