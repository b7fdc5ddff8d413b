// `samestep record -- COMMAND`: runs a training program and records every step of it.
#include <fmt/format.h>

#include <filesystem>

#include "cli/answer.h"
#include "cli/verbs.h"
#include "replay/recorder/record.h"
#include "replay/run/error.h"

namespace samestep::cli {
namespace {

struct RecordArguments {
  RecordOptions options;
  std::string run;
  std::uint64_t anchor_budget = 0, log_budget = 0;
};

int run_record(RecordArguments& arguments, const CLI::App& verb) {
  RecordOptions& options = arguments.options;
  options.cwd = std::filesystem::current_path();
  options.run = arguments.run;
  if (verb.count("--anchor-budget") > 0) options.anchor_budget = arguments.anchor_budget;
  if (verb.count("--log-budget") > 0) options.log_budget = arguments.log_budget;
  if (options.continue_run && options.run.empty()) throw BrokenInput("--continue needs the run to add to: --run DIR");
  return record(options);
}

void add_options(CLI::App* verb, RecordArguments& arguments) {
  RecordOptions& options = arguments.options;
  verb->add_option("--run", arguments.run, "run directory (default: samestep-runs/<UTC time>-<program>)");
  verb->add_flag("--continue", options.continue_run, "add to the run that is there already");
  verb->add_option("--anchor-every", options.anchor_every,
                   "cut an anchor at every multiple of N steps (default: as often as 1% of the time allows)");
  verb->add_option("--anchor-budget", arguments.anchor_budget,
                   "disk for all anchors, e.g. 20GB (default: 10 GiB, at most a tenth of the free disk)")
      ->transform(CLI::AsSizeValue(false));
  verb->add_option("--detail-every", options.detail_every,
                   "keep per-tensor detail of every K-th step only; a replay regenerates the rest")
      ->check(CLI::PositiveNumber);
  verb->add_option("--log-budget", arguments.log_budget,
                   "thin the detail of the steps that follow when the log passes this (default: 1 GiB)")
      ->transform(CLI::AsSizeValue(false));
  verb->add_flag("--fresh-digests", options.fresh_digests, "read every file again, even those known unchanged");
  verb->add_option("COMMAND", options.argv, "after --: the program to run, and its arguments")->required();
}

}  // namespace

void add_record(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<RecordArguments>();
  CLI::App* verb = app.add_subcommand("record", "Run a training program and record every step of it");
  add_options(verb, *arguments);
  verb->footer(footer("samestep record --anchor-every 50 -- ./my_trainer --steps 200",
                      "the command's own; 128 + n if signal n killed it; 126, 127 if it cannot be started;\n"
                      "  2 usage or I/O: the recording cannot begin, the command was not started"));
  verb->callback(
      [arguments, verb, &exit_code] { exit_code = guarded(false, [&] { return run_record(*arguments, *verb); }); });
}

}  // namespace samestep::cli
