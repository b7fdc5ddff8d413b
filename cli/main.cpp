// `samestep`: the command line and nothing else. Parses, dispatches to a verb, returns its exit code.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "bisect/git_bisect.h"
#include "cli/answer.h"
#include "cli/command_line.h"
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
  samestep::cli::add_doctor(app, exit_code);
  samestep::cli::add_resume_check(app, exit_code);
  samestep::cli::add_bisect(app, exit_code);
  samestep::cli::add_trial(app, exit_code);
}

// One line for a wrong command line, and the object that was asked for.
int refuse(const std::string& mistake, std::span<const std::string> words, const CLI::App& app) {
  const bool of_a_verb = !words.empty() && samestep::cli::verb_named(app, words[0]) != nullptr;
  return samestep::cli::fail(samestep::cli::asks_for_json(words),
                             fmt::format("{} (see samestep {}--help)", mistake, of_a_verb ? words[0] + " " : ""));
}

// Files that are opened later must not become somebody's standard input or output.
void reserve_standard_streams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream)
    if (::fcntl(stream, F_GETFD) == -1 && errno == EBADF) (void)::open("/dev/null", O_RDWR);
}

// An answer that could not be written is no answer.
int delivered(int exit_code) {
  std::cout.flush();
  if (std::cout.good()) return exit_code;
  std::cerr << "samestep: the answer could not be written to standard output\n";
  return samestep::exit_usage;
}

// The program's exit code. Help that git asked for is no answer about a revision.
int run(const std::vector<std::string>& words) {
  CLI::App app{"Records a training run, replays it bit for bit, names where two runs part.", "samestep"};
  int exit_code = 0;
  add_verbs(app, exit_code);
  if (const auto mistake = samestep::cli::mistake_in(app, words)) return refuse(*mistake, words, app);
  try {
    auto parsed = samestep::cli::with_places_filled(app, words);
    std::ranges::reverse(parsed);  // as CLI11 takes them
    app.parse(std::move(parsed));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return refuse(error.what(), words, app);
    (void)app.exit(error);
    return samestep::cli::asks_for_git_bisect(words) ? samestep::exit_ends_git_bisect : 0;
  }
  return delivered(exit_code);
}

}  // namespace

int main(int argc, char** argv) {
  reserve_standard_streams();
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const int exit_code = run(words);
  return samestep::cli::asks_for_git_bisect(words) ? samestep::git_bisect_code(exit_code) : exit_code;
}
