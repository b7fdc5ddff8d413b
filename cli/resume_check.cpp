// `samestep resume-check`: whether a program that was killed and resumed trains what it would have trained without.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "cli/answer.h"
#include "cli/numbers.h"
#include "cli/verbs.h"
#include "replay/resume/resume_check.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep::cli {
namespace {

struct ResumeArguments {
  ResumeOptions options;
  std::string keep;
  std::vector<std::string> view;
  bool json = false;
};

int run_resume_check(ResumeArguments& arguments, const CLI::App& verb) {
  ResumeOptions& options = arguments.options;
  if (verb.count("--resume") > 0 && options.resume.find_first_not_of(" \t\n") == std::string::npos)
    throw BrokenInput(
        "--resume takes the command that resumes the training, in quotes: --resume \"python train.py --resume\"");
  options.cwd = std::filesystem::current_path();
  options.keep = arguments.keep;
  options.view.assign(arguments.view.begin(), arguments.view.end());
  options.say = [](const std::string& line) { std::cerr << "samestep: " << printable(line) << std::endl; };
  const ResumeAnswer result = resume_check(options);
  if (arguments.json)
    print(to_json(result));
  else
    (void)answer(result.verdict, false);
  return exit_code(result);
}

void add_options(CLI::App* verb, ResumeArguments& arguments) {
  ResumeOptions& options = arguments.options;
  verb->add_option("--at", options.at, "kill the program after this step (numbered from 0)")->required();
  verb->add_option("--resume", options.resume,
                   "the command that resumes the training (default: test Samestep's own anchor after that step)");
  verb->add_option("--steps", options.steps, "look at the first N steps only (default: all that the program makes)")
      ->check(at_least_one());
  verb->add_option("--keep", arguments.keep, "keep the recordings and what the commands print here (must not exist)");
  CLI::Option* in_place = verb->add_flag(
      "--in-place", options.in_place, "run in copies of the folder instead of views: what is written elsewhere stays");
  verb->add_option("--view", arguments.view, "a folder that the commands may write to besides, copy-on-write")
      ->allow_extra_args(false)
      ->excludes(in_place);
  verb->add_flag("--network", options.network, "let the commands reach the network")->excludes(in_place);
  verb->add_flag("--ignore-environment", options.ignore_environment,
                 "call unequal bits `diverged` although settings, versions or hardware differ");
  verb->add_flag("--json", arguments.json, "one JSON object on standard output");
  verb->add_option("COMMAND", options.argv, "after --: the program to run, and its arguments")->required();
}

}  // namespace

void add_resume_check(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ResumeArguments>();
  CLI::App* verb =
      app.add_subcommand("resume-check", "Kill a training, resume it, and compare it with the uninterrupted one");
  add_options(verb, *arguments);
  verb->footer(footer("samestep resume-check --at 200 --resume \"python train.py --resume\" -- python train.py",
                      "0 same, 1 diverged, 2 usage or I/O, 3 flaky or incomparable, 4 tampered,\n"
                      "  125 untestable: a command does not start"));
  verb->callback([arguments, verb, &exit_code] {
    exit_code = guarded(arguments->json, [&] { return run_resume_check(*arguments, *verb); });
  });
}

}  // namespace samestep::cli
