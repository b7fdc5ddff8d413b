#include "replay/doctor/tried_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "replay/compare/diff.h"
#include "replay/compare/environment.h"
#include "replay/player/command.h"
#include "replay/player/folder.h"
#include "replay/player/player.h"
#include "replay/player/sessions.h"
#include "replay/recorder/record.h"
#include "replay/run/error.h"
#include "replay/run/run_reader.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t shown_lines = 6;  // of a program that failed

struct Recorded {
  fs::path run, output;
  Ending ending;
};

Recorded record_once(const TryOptions& options, const std::string& name) {
  Recorded recorded{options.folder / name, options.folder / (name + ".txt"), {}};
  RecordOptions record;
  record.argv = options.argv;
  record.cwd = options.cwd;
  record.run = recorded.run;
  record.stop_after = options.steps;
  record.watch_files = false;  // it runs in place: nothing of it is put back
  Terminal terminal([&](const std::string& text) { options.say(fmt::format("{} recording: {}", name, text)); });
  RunRecorder recorder(record, terminal);
  Server server(recorder);
  recorded.ending =
      launch_recorded({record.argv, record.cwd, recorder.environment(), recorded.output}, recorder, server, terminal);
  recorder.close(recorded.ending);
  return recorded;
}

void explain_failure(Verdict& verdict, const Recorded& recorded) {
  verdict.evidence.push_back(fmt::format("no step was recorded: the program {}", recorded.ending.text()));
  for (const std::string& line : last_lines(recorded.output, shown_lines))
    verdict.evidence.push_back("its output ended: " + line);
}

// A program that fails after its steps repeats itself so far, and no further.
void say_how_it_ended(Verdict& verdict, const Recorded& recorded) {
  if (recorded.ending.kind == Ending::Kind::exited && recorded.ending.value == 0) return;
  const std::string text = fmt::format("what comes later: the program {}", recorded.ending.text());
  if (std::ranges::find(verdict.limits, text) == verdict.limits.end()) verdict.limits.push_back(text);
}

bool has_steps(const fs::path& run) {
  std::error_code error;
  if (!fs::exists(run, error)) return false;
  const RunReader reader(run);
  return reader.end_step() > reader.first_step();
}

Verdict compare_recordings(const RunReader& a, const RunReader& b) {
  Verdict verdict = diff({a, "the first recording"}, {b, "the second"});
  const std::uint64_t last = std::min(a.end_step(), b.end_step()) - 1;
  const std::uint64_t step = std::min(verdict.step.value_or(0), last);
  weigh_environment(verdict, environment_differences(surroundings_at(a, step), surroundings_at(b, step)), false);
  verdict.reproduce = shell_words({"samestep", "diff", a.path().string(), b.path().string()});
  return verdict;
}

ReplayAnswer replay_first(const TryOptions& options, const fs::path& run) {
  ReplayOptions replaying;
  replaying.run = run;
  replaying.save = options.folder / "replay";
  replaying.say = options.say;
  return replay(replaying);
}

void judge_difference(TriedProgram& trial, const TryOptions& options, const RunReader& a, const RunReader& b) {
  options.say("the recordings differ; replaying the first one, which tells what is unseeded from what does not repeat");
  trial.replay = replay_first(options, a.path()).verdict.outcome;
  const auto generators = differing_generators(a, b, trial.verdict.step.value_or(0));
  trial.advice = advice_for(trial.verdict, generators, *trial.replay == Outcome::same,
                            seeds_of_both(a.manifest().what, b.manifest().what));
  if (trial.verdict.outcome == Outcome::diverged && *trial.replay == Outcome::flaky) {
    trial.verdict.outcome = Outcome::flaky;
    trial.verdict.cause = Cause::nondeterministic;
  }
}

}  // namespace

TriedProgram try_twice(const TryOptions& options) {
  TriedProgram trial;
  std::vector<Recorded> recordings;
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error) throw BrokenInput(fmt::format("Creating {} failed: {}.", options.folder.string(), error.message()));
  for (const char* name : {"first", "second"}) {
    const Recorded& recorded = recordings.emplace_back(record_once(options, name));
    trial.untestable = recorded.ending.kind == Ending::Kind::not_started;
    if (!trial.untestable) trial.recordings.push_back(recorded.run);
    if (trial.untestable || !has_steps(recorded.run)) {
      explain_failure(trial.verdict, recorded);
      return trial;
    }
  }
  options.say("comparing the two recordings");
  const RunReader a(trial.recordings[0]), b(trial.recordings[1]);
  trial.verdict = compare_recordings(a, b);
  for (const Recorded& recorded : recordings) say_how_it_ended(trial.verdict, recorded);
  if (trial.verdict.outcome != Outcome::same) judge_difference(trial, options, a, b);
  return trial;
}

}  // namespace samestep
