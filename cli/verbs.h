// cli/ is the `samestep` program: it reads the command line, calls the libraries and prints their answers. One file a
// verb. It may include everything but LibTorch; nothing includes it. This header lists the verbs: each add_... puts one
// subcommand with its options, help and example into `app`; running it stores the program's exit code in `exit_code`.
#pragma once

#include <CLI/CLI.hpp>

namespace samestep::cli {

void add_record(CLI::App& app, int& exit_code);
void add_replay(CLI::App& app, int& exit_code);
void add_diff(CLI::App& app, int& exit_code);
void add_inspect(CLI::App& app, int& exit_code);
void add_doctor(CLI::App& app, int& exit_code);
void add_bisect(CLI::App& app, int& exit_code);
void add_resume_check(CLI::App& app, int& exit_code);
void add_trial(CLI::App& app, int& exit_code);  // a worker of `bisect`; no help lists it

}  // namespace samestep::cli
