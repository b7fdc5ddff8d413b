// `samestep replay RUN`: runs a recorded program again and says whether it did the same.
#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "bisect/git_bisect.h"
#include "cli/answer.h"
#include "cli/command_line.h"
#include "cli/junit_file.h"
#include "cli/verbs.h"
#include "replay/player/player.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep::cli {
namespace {

struct ReplayArguments {
  ReplayOptions options;
  std::string run, save, cwd, keep_output, junit;
  std::vector<std::string> set, view, show, pin;
  std::uint64_t from = 0, to = 0;
  bool git_bisect = false;
  bool json = false;
};

void take_pins(ReplayArguments& arguments) {
  for (const std::string& text : arguments.set) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) throw BrokenInput("--set takes NAME=VALUE, not " + text);
    arguments.options.set[text.substr(0, equals)] = text.substr(equals + 1);
  }
}

void take_pinned_lanes(ReplayArguments& arguments) {
  for (const std::string& text : arguments.pin) {
    if (text == name(Lane::batch))
      throw BrokenInput("--pin batch: a run holds the digests of its batches, not the batches themselves");
    if (text != name(Lane::hyper) && text != name(Lane::rng))
      throw BrokenInput("--pin takes hyper or rng, not " + text);
    arguments.options.pins.push_back(text == name(Lane::rng) ? Lane::rng : Lane::hyper);
  }
}

int run_replay(ReplayArguments& arguments, const CLI::App& verb, const WriteCases& write) {
  ReplayOptions& options = arguments.options;
  options.run = arguments.run;
  if (verb.count("--from") > 0) options.from = arguments.from;
  if (verb.count("--to") > 0) options.to = arguments.to;
  if (!arguments.save.empty()) options.save = arguments.save;
  if (!arguments.cwd.empty()) options.cwd = arguments.cwd;
  if (!arguments.keep_output.empty()) options.keep_output = arguments.keep_output;
  options.view.assign(arguments.view.begin(), arguments.view.end());
  options.show.assign(arguments.show.begin(), arguments.show.end());
  take_pins(arguments);
  take_pinned_lanes(arguments);
  options.say = [](const std::string& line) { std::cerr << "samestep: " << printable(line) << std::endl; };
  // The program's own output goes to a file, so nothing else writes to the terminal meanwhile.
  if (::isatty(STDERR_FILENO) != 0) {
    options.progress = [](const std::string& text) { std::cerr << "\r\033[K" << text << std::flush; };
  }
  if (arguments.git_bisect) replay_in_checkout(options);
  const ReplayAnswer result = replay(options);
  write(junit_cases(result.verdict, result.untestable));
  (void)answer(result.verdict, arguments.json);
  return arguments.git_bisect && result.asked_to_stop != 0 ? 128 + result.asked_to_stop : exit_code(result);
}

void add_view_options(CLI::App* verb, ReplayArguments& arguments) {
  CLI::Option* in_place =
      verb->add_flag("--in-place", arguments.options.in_place,
                     "run in the folder itself instead of a view: what the program writes, it writes for good");
  verb->add_option("--view", arguments.view, "a folder that the program may write to besides, copy-on-write")
      ->allow_extra_args(false)
      ->excludes(in_place);
  verb->add_option("--show", arguments.show,
                   "a path that stays as it is now, although the recording made or changed it")
      ->allow_extra_args(false)
      ->excludes(in_place);
  verb->add_flag("--network", arguments.options.network, "let the program reach the network")->excludes(in_place);
  verb->add_option("--keep-output", arguments.keep_output,
                   "copy what the program wrote to this folder (must not exist)")
      ->excludes(in_place);
}

void add_options(CLI::App* verb, ReplayArguments& arguments) {
  ReplayOptions& options = arguments.options;
  verb->add_option("RUN", arguments.run, "run directory")->required();
  verb->add_option("--from", arguments.from, "first step asked for (default: the run's first)");
  verb->add_option("--to", arguments.to, "one past the last step asked for (default: the run's end)");
  verb->add_option("--set", arguments.set, "NAME=VALUE: another value for a recorded pin, e.g. OMP_NUM_THREADS=1")
      ->allow_extra_args(false);
  verb->add_option("--save", arguments.save, "keep the replay here, as a run of its own (must not exist)");
  verb->add_option("--cwd", arguments.cwd, "folder to run in (default: the recorded one)");
  add_view_options(verb, arguments);
  verb->add_option("--rank", options.rank, "the process to compare, of several");
  verb->add_flag("--keep-going", options.keep_going, "compare on after the first step that differs");
  verb->add_flag(
      "--jump", options.jump,
      "put the anchor in at the top of the program's loop, where the program has a loop over samestep.steps()");
  verb->add_option("--pin", arguments.pin,
                   "hyper: give every step the recorded options; rng: give the first step the anchor's generators. A "
                   "lane that is given counts as not compared")
      ->type_name("LANE")
      ->allow_extra_args(false);
  verb->add_flag("--ignore-environment", options.ignore_environment,
                 "call unequal bits `diverged` although settings, versions or hardware differ");
  verb->add_flag(
      git_bisect_flag, arguments.git_bisect,
      "answer for `git bisect run`: the revision in the checkout around the current folder, by the exit codes "
      "that git takes");
  verb->add_flag("--json", arguments.json, "one JSON object on standard output");
  add_junit(verb, arguments.junit);
  verb->add_option("COMMAND", options.command, "after --: the program to run (default: the recorded command)");
}

}  // namespace

void add_replay(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ReplayArguments>();
  CLI::App* verb = app.add_subcommand("replay", "Run recorded steps again and compare them bit for bit");
  add_options(verb, *arguments);
  verb->footer(
      footer("samestep replay samestep-runs/monday --from 120 --to 200\n"
             "  git bisect run samestep replay --git-bisect samestep-runs/monday",
             "0 same, 1 diverged, 2 usage or I/O, 3 flaky or incomparable, 4 tampered,\n"
             "  125 untestable: the program does not start;\n"
             "  --git-bisect: 0 same, 1 diverged, 125 untestable, flaky or incomparable, 128 everything else,\n"
             "  which ends the bisect"));
  verb->callback([arguments, verb, &exit_code] {
    exit_code = guarded(arguments->json, [&] {
      return with_junit(arguments->junit, "samestep replay", arguments->run,
                        [&](const WriteCases& write) { return run_replay(*arguments, *verb, write); });
    });
  });
}

}  // namespace samestep::cli
