// `samestep bisect`: the commit at which training stopped reproducing a recorded run.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <filesystem>
#include <iostream>
#include <vector>

#include "bisect/bisect.h"
#include "bisect/search_log.h"
#include "cli/answer.h"
#include "cli/bisect_environment.h"
#include "cli/bisect_requirements.h"
#include "cli/junit_file.h"
#include "cli/numbers.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "replay/player/command.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep::cli {
namespace {

constexpr std::size_t most_workers = 1000;

struct BisectArguments {
  BisectOptions options;
  std::string executor, run, bad_run, folder, resume;
  std::vector<std::string> view, links;
  double build_seconds = 0, seconds = 0;
  std::uint64_t memory = 0;
  std::string junit;
  bool json = false;
  StatusLine line;
  EnvironmentArguments environment;
  RequirementsArguments requirements;
  std::vector<CLI::Option*> of_commits;  // that a bisect over something else has no use for
};

std::chrono::milliseconds from_seconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

void take_limits(BisectArguments& arguments) {
  arguments.options.build_limits = {from_seconds(arguments.build_seconds), arguments.memory};
  arguments.options.replay.limits = {from_seconds(arguments.seconds), arguments.memory};
}

std::filesystem::path default_folder() {
  const std::string name = fmt::format("samestep-runs/{:%Y%m%dT%H%M%SZ}-bisect", fmt::gmtime(std::time(nullptr)));
  std::filesystem::path folder = name;
  std::error_code error;
  for (int i = 2; std::filesystem::exists(folder, error); ++i) folder = fmt::format("{}-{}", name, i);
  return folder;
}

// A folder is gone on with where it is; a log elsewhere is read, and the search gets a folder of its own.
void take_places(BisectArguments& arguments) {
  BisectOptions& options = arguments.options;
  std::filesystem::path folder = arguments.folder.empty() ? default_folder() : std::filesystem::path(arguments.folder);
  if (!arguments.resume.empty()) {
    options.resume = arguments.resume;
    if (std::filesystem::is_directory(*options.resume)) {
      if (!arguments.folder.empty()) throw BrokenInput("--folder: the bisect that is resumed has its own folder");
      folder = *options.resume;
      options.resume = folder / log_name;
    }
  }
  options.folder = std::filesystem::absolute(folder).lexically_normal();
}

void need_enough(const BisectOptions& options) {
  if (options.resume) return;
  if (options.good.empty() || options.bad.empty())
    throw BrokenInput("--good and --bad are required: revisions between which training changed (or --resume)");
  if (options.run && options.steps > 0) throw BrokenInput("--steps is for a bisect without RUN: the run has its steps");
  if (options.run || !options.replay.command.empty()) return;
  throw BrokenInput(
      "give the run that is the reference, or after -- the command that trains: the good revision is then recorded "
      "first");
}

bool is_over_commits(const BisectArguments& arguments) {
  return arguments.environment.asked->count() + arguments.requirements.asked->count() == 0;
}

// An option that is not heeded would be taken for one that is.
void refuse_what_is_of_commits(const BisectArguments& arguments) {
  const std::string asked = arguments.environment.asked->count() > 0 ? "--environment" : "--requirements";
  for (const CLI::Option* option : arguments.of_commits)
    if (option->count() > 0)
      throw BrokenInput(
          fmt::format("{} is for a bisect over commits: leave it out with {}", option->get_name(), asked));
  if (!arguments.junit.empty())
    throw BrokenInput(fmt::format("--junit is for a bisect over commits: leave it out with {}", asked));
  const bool builds = !arguments.options.build.empty();
  if (builds && arguments.options.good.empty())
    throw BrokenInput(fmt::format("--build: {} builds nothing but the revision of --good", asked));
}

void take_options(BisectArguments& arguments) {
  BisectOptions& options = arguments.options;
  const bool commits = is_over_commits(arguments);
  if (!commits) refuse_what_is_of_commits(arguments);
  if (!arguments.run.empty()) options.run = arguments.run;
  if (!arguments.bad_run.empty()) options.bad_run = arguments.bad_run;
  take_places(arguments);
  if (commits) need_enough(options);
  options.slurm = arguments.executor == "slurm";
  if (!options.slurm && !options.slurm_options.empty())
    throw BrokenInput("--slurm-option is of no use without --executor slurm");
  options.replay.view.assign(arguments.view.begin(), arguments.view.end());
  options.links.assign(arguments.links.begin(), arguments.links.end());
  take_limits(arguments);
}

void show_progress(BisectArguments& arguments) {
  BisectOptions& options = arguments.options;
  StatusLine& line = arguments.line;
  options.replay.say = [&](const std::string& text) { line.say(text); };
  options.replay.progress = [&](const std::string& text) {
    line.show([&](std::size_t columns) { return printable(text).substr(0, columns); });
  };
  options.show = [&, unicode = is_utf8_locale()](const RangePicture& picture) {
    line.show([&](std::size_t columns) { return draw(picture, columns, unicode); });
  };
  if (!line.is_drawn()) options.finished = options.replay.say;
}

void print_report(const BisectReport& report, const BisectArguments& arguments) {
  if (arguments.json)
    print(to_json(report));
  else
    std::cout << report << std::flush;
}

int run_bisect(BisectArguments& arguments) {
  take_options(arguments);
  show_progress(arguments);
  const std::string about =
      arguments.resume.empty() ? arguments.options.good + ".." + arguments.options.bad : arguments.resume;
  try {
    if (arguments.environment.asked->count() > 0)
      return run_bisect_environment(arguments.environment, arguments.options, arguments.json);
    if (arguments.requirements.asked->count() > 0)
      return run_bisect_requirements(arguments.requirements, arguments.options, arguments.json);
    return with_junit(arguments.junit, "samestep bisect", about, [&](const WriteCases& write) {
      const BisectReport report = bisect(arguments.options);
      write(junit_cases(report));
      print_report(report, arguments);
      return exit_code(report.answer);
    });
  } catch (const TrialInterrupted& interrupted) {
    arguments.line.say("interrupted; finished trials are kept. To go on: " +
                       (is_over_commits(arguments)
                            ? "samestep bisect --resume " + shell_words({arguments.options.folder.string()})
                            : std::string("give the same command again")));
    return 128 + interrupted.signal();
  } catch (...) {
    arguments.line.clear();
    throw;
  }
}

// What a bisect over something else than commits has no use for.
CLI::Option* of_commits(BisectArguments& arguments, CLI::Option* option) {
  arguments.of_commits.push_back(option);
  return option;
}

void add_range_options(CLI::App* verb, BisectArguments& arguments) {
  BisectOptions& options = arguments.options;
  verb->add_option("RUN", arguments.run,
                   "the recorded run that is the reference (default: the good revision is recorded first)");
  verb->add_option("--repo", options.repository, "the checkout (default: the current folder)");
  verb->add_option("--good", options.good, "a revision that reproduces the run");
  of_commits(arguments, verb->add_option("--bad", options.bad, "a later one that does not"));
  of_commits(arguments, verb->add_option("--path", options.paths, "only commits that change this count"))
      ->allow_extra_args(false);
  of_commits(arguments, verb->add_flag("--first-parent", options.first_parent, "follow merges' first parents only"));
  of_commits(arguments, verb->add_option("--resume", arguments.resume,
                                         "go on with the bisect in this folder, or from a log (it may have been "
                                         "edited): what it says need not be said again"));
}

void add_answer_options(CLI::App* verb, BisectArguments& arguments) {
  BisectOptions& options = arguments.options;
  CLI::Option* all =
      of_commits(arguments, verb->add_flag("--all", options.all,
                                           "name every commit that changes behaviour, not the one that made the "
                                           "difference"));
  of_commits(arguments, verb->add_flag("--assume-monotone", options.assume_monotone,
                                       "with --all: take revisions between two that behave alike for the same"))
      ->needs(all);
  of_commits(arguments, verb->add_option("--bad-run", arguments.bad_run,
                                         "keep the bad revision's replay as a run in this folder (must not exist)"))
      ->excludes(all);
  verb->add_option("--folder", arguments.folder,
                   "what the bisect leaves goes here (default: samestep-runs/<UTC time>-bisect)");
  verb->add_flag("--json", arguments.json, "one JSON object on standard output");
  add_junit(verb, arguments.junit);
}

void add_worker_options(CLI::App* verb, BisectArguments& arguments) {
  BisectOptions& options = arguments.options;
  of_commits(arguments, verb->add_option("-j,--jobs", options.workers,
                                         "trials at a time: fewer rounds, each as long as its slowest trial"))
      ->check(CLI::Range(std::size_t{1}, most_workers));
  of_commits(arguments, verb->add_option("--executor", arguments.executor,
                                         "where trials run: local, processes of this machine (default); slurm, jobs "
                                         "of a Slurm cluster"))
      ->check(CLI::IsMember({"local", "slurm"}));
  of_commits(arguments, verb->add_option("--slurm-option", options.slurm_options,
                                         "with --executor slurm: an option of sbatch, e.g. time=60 or cpus-per-task=8"))
      ->allow_extra_args(false);
}

void add_trial_options(CLI::App* verb, BisectArguments& arguments) {
  BisectOptions& options = arguments.options;
  verb->add_option("--build", options.build, "a shell's command that builds a revision, in the checkout's top folder");
  of_commits(arguments, verb->add_option("--steps", options.steps, "without RUN: record so many steps only"))
      ->check(at_least_one());
  verb->add_flag("--fresh", options.fresh, "make every trial, also those that earlier bisects have made");
  CLI::Option* in_place = verb->add_flag("--in-place", options.replay.in_place,
                                         "in worktrees instead of views, where the machine allows no view");
  verb->add_option("--view", arguments.view, "a folder that builds and trials may write to besides, copy-on-write")
      ->allow_extra_args(false)
      ->excludes(in_place);
  verb->add_flag("--network", options.replay.network, "let builds and trials reach the network")->excludes(in_place);
  of_commits(arguments, verb->add_option("--link", arguments.links,
                                         "with --in-place: an untracked file or folder that trials find at its place"))
      ->allow_extra_args(false)
      ->needs(in_place);
  verb->add_flag("--ignore-environment", options.replay.ignore_environment,
                 "call unequal bits `diverged` although settings, versions or hardware differ");
}

void add_limits(CLI::App* verb, BisectArguments& arguments) {
  verb->add_option("--build-seconds", arguments.build_seconds,
                   "a build that takes longer makes its revision untestable")
      ->check(some_seconds());
  verb->add_option("--seconds", arguments.seconds, "so does a replay")->check(some_seconds());
  verb->add_option("--memory", arguments.memory, "so does a build or a replay whose processes take more, e.g. 8GB")
      ->transform(some_bytes());
}

void add_options(CLI::App* verb, BisectArguments& arguments) {
  add_range_options(verb, arguments);
  add_answer_options(verb, arguments);
  add_worker_options(verb, arguments);
  add_trial_options(verb, arguments);
  add_limits(verb, arguments);
  add_environment_options(verb, arguments.environment);
  add_requirements_options(verb, arguments.requirements);
  arguments.requirements.asked->excludes(arguments.environment.asked);
  verb->add_option("COMMAND", arguments.options.replay.command,
                   "after --: the program to run (default: the recorded command)");
}

}  // namespace

void add_bisect(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<BisectArguments>();
  CLI::App* verb = app.add_subcommand("bisect", "Find the commit at which training stopped reproducing a recorded run");
  add_options(verb, *arguments);
  verb->footer(
      footer("samestep bisect samestep-runs/monday --good v1.0 --bad main -- python train.py\n"
             "  samestep bisect --resume samestep-runs/20261123T093000Z-bisect\n"
             "  samestep bisect samestep-runs/monday --environment -- python train.py",
             "0 one culprit proven (--all: every change named; --environment: a minimal set proven),\n"
             "  2 usage or I/O, nothing builds,\n"
             "  3 several remain, flaky, or an end is not as claimed, 4 tampered"));
  verb->callback(
      [arguments, &exit_code] { exit_code = guarded(arguments->json, [&] { return run_bisect(*arguments); }); });
}

}  // namespace samestep::cli
