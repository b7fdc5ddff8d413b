// `samestep bisect`: the commit at which training stopped reproducing a recorded run.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <iostream>

#include "bisect/bisect.h"
#include "cli/answer.h"
#include "cli/verbs.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep::cli {
namespace {

struct BisectArguments {
  BisectOptions options;
  std::string run, bad_run, repository = ".", folder;
  std::vector<std::string> view, links;
  double build_seconds = 0, seconds = 0;
  std::uint64_t memory = 0;
  bool json = false;
};

std::chrono::milliseconds from_seconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

void take_limits(BisectArguments& arguments) {
  arguments.options.build_limits = {from_seconds(arguments.build_seconds), arguments.memory};
  arguments.options.replay.limits = {from_seconds(arguments.seconds), arguments.memory};
}

std::filesystem::path default_folder() {
  return fmt::format("samestep-runs/{:%Y%m%dT%H%M%SZ}-bisect", fmt::gmtime(std::time(nullptr)));
}

void take_options(BisectArguments& arguments) {
  BisectOptions& options = arguments.options;
  if (!arguments.run.empty()) options.run = arguments.run;
  if (!arguments.bad_run.empty()) options.bad_run = arguments.bad_run;
  if (!options.run && options.replay.command.empty())
    throw BrokenInput(
        "give the run that is the reference, or after -- the command that trains: the good revision is then recorded "
        "first");
  options.repository = arguments.repository;
  options.folder =
      std::filesystem::absolute(arguments.folder.empty() ? default_folder() : std::filesystem::path(arguments.folder));
  options.replay.view.assign(arguments.view.begin(), arguments.view.end());
  options.links.assign(arguments.links.begin(), arguments.links.end());
  take_limits(arguments);
  options.replay.say = [](const std::string& line) { std::cerr << "samestep: " << printable(line) << std::endl; };
  if (::isatty(STDERR_FILENO) != 0) {
    options.replay.progress = [](const std::string& text) { std::cerr << "\r\033[K" << printable(text) << std::flush; };
  }
}

int run_bisect(BisectArguments& arguments) {
  take_options(arguments);
  try {
    const BisectReport report = bisect(arguments.options);
    if (arguments.json)
      print(to_json(report));
    else
      std::cout << report << std::flush;
    return exit_code(report.answer);
  } catch (const TrialInterrupted& interrupted) {
    std::cerr << "samestep: interrupted; started again, it takes up where it was: finished trials are kept"
              << std::endl;
    return 128 + interrupted.signal();
  }
}

void add_options(CLI::App* verb, BisectArguments& arguments) {
  BisectOptions& options = arguments.options;
  verb->add_option("RUN", arguments.run,
                   "the recorded run that is the reference (default: the good revision is recorded first)");
  verb->add_option("--repo", arguments.repository, "the checkout (default: the current folder)");
  verb->add_option("--good", options.good, "a revision that reproduces the run")->required();
  verb->add_option("--bad", options.bad, "a later one that does not")->required();
  verb->add_option("--build", options.build, "a shell's command that builds a revision, in the checkout's top folder");
  verb->add_option("--path", options.paths, "only commits that change this count")->allow_extra_args(false);
  verb->add_flag("--first-parent", options.first_parent, "follow merges' first parents only");
  CLI::Option* all = verb->add_flag("--all", options.all,
                                    "name every commit that changes behaviour, not the one that made the difference");
  verb->add_flag("--assume-monotone", options.assume_monotone,
                 "with --all: take revisions between two that behave alike for the same")
      ->needs(all);
  verb->add_option("--bad-run", arguments.bad_run,
                   "keep the bad revision's replay as a run in this folder (must not exist)")
      ->excludes(all);
  verb->add_option("--steps", options.steps, "without RUN: record so many steps only")->check(CLI::PositiveNumber);
  verb->add_option("--folder", arguments.folder,
                   "what the bisect leaves goes here (default: samestep-runs/<UTC time>-bisect)");
  verb->add_option("--view", arguments.view, "a folder that builds and trials may write to besides, copy-on-write")
      ->allow_extra_args(false);
  verb->add_flag("--network", options.replay.network, "let builds and trials reach the network");
  CLI::Option* in_place = verb->add_flag("--in-place", options.replay.in_place,
                                         "in worktrees instead of views, where the machine allows no view");
  verb->add_option("--link", arguments.links,
                   "with --in-place: an untracked file or folder that trials find at its place")
      ->allow_extra_args(false)
      ->needs(in_place);
  verb->add_option("--build-seconds", arguments.build_seconds,
                   "a build that takes longer makes its revision untestable")
      ->check(CLI::PositiveNumber);
  verb->add_option("--seconds", arguments.seconds, "so does a replay")->check(CLI::PositiveNumber);
  verb->add_option("--memory", arguments.memory, "so does a build or a replay whose processes take more, e.g. 8GB")
      ->transform(CLI::AsSizeValue(false));
  verb->add_flag("--ignore-environment", options.replay.ignore_environment,
                 "call unequal bits `diverged` although settings, versions or hardware differ");
  verb->add_flag("--json", arguments.json, "one JSON object on standard output");
  verb->add_option("COMMAND", options.replay.command, "after --: the program to run (default: the recorded command)");
}

}  // namespace

void add_bisect(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<BisectArguments>();
  CLI::App* verb = app.add_subcommand("bisect", "Find the commit at which training stopped reproducing a recorded run");
  add_options(verb, *arguments);
  verb->footer(footer("samestep bisect samestep-runs/monday --good v1.0 --bad main -- python train.py",
                      "0 one culprit proven (--all: every change named), 2 usage or I/O, nothing builds,\n"
                      "  3 several remain, flaky, or an end is not as claimed, 4 tampered"));
  verb->callback(
      [arguments, &exit_code] { exit_code = guarded(arguments->json, [&] { return run_bisect(*arguments); }); });
}

}  // namespace samestep::cli
