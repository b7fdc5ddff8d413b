// `samestep`: the command line and nothing else. Parses, dispatches to a verb, returns its exit code.
#include <fmt/format.h>

#include <iostream>

#include "cli/verbs.h"
#include "replay/compare/verdict.h"
#include "replay/recorder/protocol.h"
#include "replay/run/manifest.h"

namespace {

std::string version() {
  return fmt::format("samestep {} (run format {}, protocol {}, {})", SAMESTEP_VERSION,
                     samestep::Manifest{}.format_version, samestep::protocol::version, SAMESTEP_TORCH_BUILD);
}

void add_verbs(CLI::App& app, int& exit_code) {
  app.require_subcommand(1);
  app.set_version_flag("--version", version());
  app.footer(
      "Example:\n  samestep record -- ./my_trainer --steps 200\n  samestep replay samestep-runs/<run> --from 120\n\n"
      "Exit codes:\n  0 same, 1 diverged, 2 usage or I/O, 3 flaky or incomparable, 4 tampered, 125 untestable;\n"
      "  record: the command's own code");
  samestep::cli::add_record(app, exit_code);
  samestep::cli::add_replay(app, exit_code);
  samestep::cli::add_diff(app, exit_code);
  samestep::cli::add_inspect(app, exit_code);
}

// One line for a wrong command line; help and version as they are.
int answer_parse(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);
  std::cerr << "samestep: " << error.what() << " (see samestep --help)\n";
  return samestep::exit_usage;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Records a training run, replays it bit for bit, names where two runs part.", "samestep"};
  int exit_code = 0;
  add_verbs(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return answer_parse(app, error);
  }
  return exit_code;
}
