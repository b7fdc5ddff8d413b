// `samestep doctor`: what would make recordings here, or of a program, differ from each other; and the fix for each.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "cli/answer.h"
#include "cli/numbers.h"
#include "cli/verbs.h"
#include "replay/doctor/findings.h"
#include "replay/doctor/tried_program.h"
#include "replay/recorder/command_words.h"
#include "replay/recorder/run_directory.h"
#include "replay/run/printable.h"
#include "replay/run/utc.h"

namespace samestep::cli {
namespace {

namespace fs = std::filesystem;

struct DoctorArguments {
  std::vector<std::string> argv;
  std::uint64_t steps = TryOptions{}.steps;
  std::string save;
  bool json = false;
};

void say(const std::string& line) {
  std::cerr << "samestep: " << printable(line) << std::endl;
}

TriedProgram try_program(const DoctorArguments& arguments) {
  TryOptions options;
  options.argv = arguments.argv;
  options.cwd = fs::current_path();
  options.steps = arguments.steps;
  options.say = say;
  if (arguments.save.empty()) {
    options.folder = make_default_run(options.cwd, "doctor-" + program_name(options.argv), utc_now_ns());
  } else {
    make_named_run(arguments.save);
    options.folder = fs::absolute(arguments.save).lexically_normal();
  }
  say(fmt::format("running the program twice, {} steps each, in {}: what it writes, it writes; recordings in {}",
                  options.steps, options.cwd.string(), options.folder.string()));
  return try_twice(options);
}

nlohmann::json json_of(const std::vector<Finding>& list, const std::optional<TriedProgram>& trial) {
  nlohmann::json json{{"findings", nlohmann::json::array()},
                      {"verdict", nullptr},
                      {"replay", nullptr},
                      {"advice", nlohmann::json::array()},
                      {"recordings", nlohmann::json::array()}};
  for (const Finding& finding : list) json["findings"].push_back(to_json(finding));
  if (!trial) return json;
  json["verdict"] = to_json(trial->verdict);
  if (trial->replay) json["replay"] = name(*trial->replay);
  json["advice"] = trial->advice;
  for (const fs::path& run : trial->recordings) json["recordings"].push_back(run.string());
  return json;
}

// What the two recordings say against the program; empty where they say nothing against it.
std::string against_the_program(const TriedProgram& trial) {
  if (trial.untestable) return "the program does not start";
  if (trial.recordings.size() < 2 || trial.verdict.outcome == Outcome::incomparable)
    return "two recordings of this program cannot be compared";
  switch (trial.verdict.outcome) {
    case Outcome::same:
      return "";
    case Outcome::flaky:
      return "this program does not repeat itself: two recordings of it differ, and so do replays";
    default:
      return "two recordings of this program differ";
  }
}

// The worst of what was found, of the program and of what it runs on.
std::string headline(const std::vector<Finding>& list, const std::optional<TriedProgram>& trial) {
  const std::string program = trial ? against_the_program(*trial) : "";
  if (!has_problem(list))
    return program.empty() ? "nothing here keeps recordings from being reproduced"
                           : program + "; nothing is wrong with the machine and the environment";
  const std::string machine = "this machine or environment makes recordings that cannot be reproduced";
  return program.empty() ? machine : program + "; and " + machine;
}

void show(const std::vector<Finding>& list, const std::optional<TriedProgram>& trial) {
  std::cout << headline(list, trial) << '\n';
  for (const Finding& finding : list) std::cout << finding;
  if (trial) {
    std::cout << "two recordings of the program: " << trial->verdict;
    for (const std::string& text : trial->advice) std::cout << fmt::format("  {:<10} {}\n", "advice", printable(text));
  }
  std::cout << std::flush;
}

int exit_code_of(const std::vector<Finding>& list, const std::optional<TriedProgram>& trial) {
  if (trial && trial->untestable) return exit_untestable;
  const int program = trial ? exit_code(trial->verdict.outcome) : 0;
  return program != 0 ? program : has_problem(list) ? exit_code(Outcome::diverged) : 0;
}

int run_doctor(const DoctorArguments& arguments) {
  const std::vector<Finding> list = findings(look(arguments.argv, fs::current_path()));
  std::optional<TriedProgram> trial;
  if (!arguments.argv.empty()) trial = try_program(arguments);
  if (arguments.json)
    print(json_of(list, trial));
  else
    show(list, trial);
  return exit_code_of(list, trial);
}

}  // namespace

void add_doctor(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* verb = app.add_subcommand("doctor", "Name what would keep a training from being reproduced, and the fix");
  verb->add_option("--steps", arguments->steps, "record so many steps of the program, twice (default: 8)")
      ->check(at_least_one());
  verb->add_option("--save", arguments->save,
                   "keep the recordings here (default: samestep-runs/<UTC time>-doctor-<program>)");
  verb->add_flag("--json", arguments->json, "one JSON object on standard output");
  verb->add_option("COMMAND", arguments->argv, "after --: a program to try (default: look at the machine alone)");
  verb->footer(footer("samestep doctor -- python train.py --epochs 1",
                      "0 nothing found, and two recordings of the program are the same; 1 a problem, or they differ;\n"
                      "  2 usage or I/O; 3 the program does not repeat itself, or nothing was recorded;\n"
                      "  125 untestable: the program does not start"));
  verb->callback(
      [arguments, &exit_code] { exit_code = guarded(arguments->json, [&] { return run_doctor(*arguments); }); });
}

}  // namespace samestep::cli
