// `samestep diff A B`: where two recorded runs part.
#include "replay/compare/diff.h"

#include <fmt/format.h>

#include <set>

#include "cli/answer.h"
#include "cli/junit_file.h"
#include "cli/verbs.h"
#include "replay/compare/environment.h"
#include "replay/compare/search.h"
#include "replay/doctor/tried_program.h"
#include "replay/player/anchor_bytes.h"
#include "replay/player/command.h"
#include "replay/player/sessions.h"
#include "replay/run/run_reader.h"

namespace samestep::cli {
namespace {

struct DiffOptions {
  std::string a, b, junit;
  bool json = false;
  bool ignore_environment = false;
};

std::set<std::uint32_t> ranks_of(const RunReader& run) {
  std::set<std::uint32_t> ranks{0};
  for (const SegmentEntry& segment : run.manifest().segments) ranks.insert(segment.rank);
  return ranks;
}

std::string ended(const RunReader& run, std::uint32_t rank) {
  std::string how = "closed";
  for (const SegmentEntry& segment : run.manifest().segments) {
    if (segment.rank == rank) how = effective_ending(run.manifest(), segment);
  }
  return how;
}

// The steps whose state after them an anchor holds.
std::vector<std::uint64_t> milestones_of(const RunReader& run) {
  std::vector<std::uint64_t> steps;
  for (const AnchorEntry& anchor : run.manifest().anchors) {
    if (anchor.step > 0 && run.is_in_line(anchor)) steps.push_back(anchor.step - 1);
  }
  return steps;
}

// Of the sessions that recorded the step in question; where all is the same, of all that recorded a common step.
std::vector<EnvironmentDifference> differences_around(const Verdict& verdict, const RunReader& a, const RunReader& b) {
  std::vector<EnvironmentDifference> found;
  const StepRange range = common_steps(a, b);
  if (range.empty()) return found;
  std::set<std::uint64_t> steps{step_in_question(verdict, range)};
  if (verdict.outcome == Outcome::same) {
    for (const RunReader* run : {&a, &b}) {
      const std::vector<std::uint64_t> parts = parts_of(*run, range);
      steps.insert(parts.begin(), parts.end());
    }
  }
  if (verdict.outcome == Outcome::diverged) {
    found = changed_midway(a.manifest(), b.manifest(), a.rank(), step_in_question(verdict, range));
  }
  for (const std::uint64_t step : steps) {
    add_differences(found, environment_differences(surroundings_at(a, step), surroundings_at(b, step)));
  }
  return found;
}

Verdict diff_rank(const DiffOptions& options, RunReader& a, RunReader& b) {
  const std::uint32_t rank = a.rank();
  const std::string suffix = rank == 0 ? "" : fmt::format(" (rank {})", rank);
  Verdict verdict =
      diff({a, "A" + suffix, ended(a, rank), milestones_of(a)}, {b, "B" + suffix, ended(b, rank), milestones_of(b)});
  weigh_environment(verdict, differences_around(verdict, a, b), options.ignore_environment);
  if (verdict.outcome == Outcome::same) {  // a diverging answer needs no proof that the rest is whole
    with_named_anchors(a, [&] { check_run(a); });
    with_named_anchors(b, [&] { check_run(b); });
  }
  return verdict;
}

// Of two ranks' verdicts the one to tell: what is not the same before what is, the earlier step first.
bool more_telling(const Verdict& candidate, const Verdict& known) {
  if ((candidate.outcome == Outcome::same) != (known.outcome == Outcome::same)) return known.outcome == Outcome::same;
  return candidate.step.value_or(~std::uint64_t{0}) < known.step.value_or(~std::uint64_t{0});
}

Verdict structure(const std::set<std::uint32_t>& a, const std::set<std::uint32_t>& b) {
  Verdict verdict;
  verdict.outcome = Outcome::diverged;
  verdict.cause = Cause::structure;
  verdict.evidence.push_back(fmt::format("A has the logs of {} processes, B of {}", a.size(), b.size()));
  return verdict;
}

int run_diff(const DiffOptions& options, const WriteCases& write) {
  RunReader a(options.a), b(options.b);
  const std::set<std::uint32_t> ranks = ranks_of(a), others = ranks_of(b);
  Verdict verdict = diff_rank(options, a, b);
  for (std::uint32_t rank : ranks) {
    if (rank == 0 || !others.contains(rank)) continue;
    RunReader next_a(options.a, rank), next_b(options.b, rank);
    if (Verdict next = diff_rank(options, next_a, next_b); more_telling(next, verdict)) verdict = std::move(next);
  }
  if (verdict.outcome == Outcome::same && ranks != others) verdict = structure(ranks, others);
  for (std::string& sentence : unseeded_sources(a, b, verdict)) verdict.evidence.push_back(std::move(sentence));
  std::vector<std::string> again{"samestep", "diff", options.a, options.b};
  if (options.ignore_environment) again.emplace_back("--ignore-environment");
  verdict.reproduce = shell_words(again);
  write(junit_cases(verdict));
  return answer(verdict, options.json);
}

}  // namespace

void add_diff(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<DiffOptions>();
  CLI::App* verb = app.add_subcommand("diff", "Name the first step, lane and tensor where two runs part");
  verb->add_option("A", options->a, "run directory")->required();
  verb->add_option("B", options->b, "run directory")->required();
  verb->add_flag("--json", options->json, "one JSON object on standard output");
  verb->add_flag("--ignore-environment", options->ignore_environment,
                 "call unequal bits `diverged` although settings, versions or hardware differ");
  verb->footer(footer("samestep diff samestep-runs/monday samestep-runs/tuesday",
                      "0 same, 1 diverged, 2 usage or I/O, 3 incomparable, 4 tampered"));
  add_junit(verb, options->junit);
  verb->callback([options, &exit_code] {
    exit_code = guarded(options->json, [&] {
      return with_junit(options->junit, "samestep diff", options->a + " " + options->b,
                        [&](const WriteCases& write) { return run_diff(*options, write); });
    });
  });
}

}  // namespace samestep::cli
