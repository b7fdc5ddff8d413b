#include "bisect/environment_bisect.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "bisect/environment_trials.h"
#include "bisect/git_bisect.h"
#include "bisect/trial_folder.h"
#include "bisect/trial_text.h"
#include "replay/player/command.h"
#include "replay/player/sessions.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/run/run_reader.h"
#include "replay/view/places.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The run, the revision's checkout, and the trials over them.
struct Stage {
  explicit Stage(const EnvironmentBisectOptions& given)
      : options(given),
        recording(given.run, given.replay.rank),
        recorded(described(recording, given.run)),
        own(is_own_run(given.run) && (!given.other_run || is_own_run(*given.other_run))) {
    if (!given.good.empty()) repository.emplace(given.repository);
    if (repository && given.replay.in_place)
      throw BrokenInput("a revision is checked out in a view alone: check it out yourself and leave --good out");
    if (repository) commit = repository->commit(given.good);
    trials.emplace(settings(), recorded, whole_run(recording));
  }

  static const json& described(const RunReader& run, const fs::path& path) {
    if (run.end_step() == run.first_step())
      throw BrokenInput(fmt::format("{} holds no step to be reproduced", path.string()));
    return session_at(run, run.first_step());
  }

  [[nodiscard]] EnvironmentTrialSettings settings() const {
    EnvironmentTrialSettings settings;
    settings.replay = options.replay;
    settings.replay.run = options.run;
    if (repository && !options.replay.cwd) settings.replay.cwd = folder_in_checkout(*repository, recorded);
    settings.repository = repository ? &*repository : nullptr;
    settings.commit = commit;
    settings.build = options.build;
    settings.build_limits = options.build_limits;
    settings.folder = options.folder / "trials";
    settings.cache = options.cache;
    settings.fresh = options.fresh;
    return settings;
  }

  [[nodiscard]] std::vector<std::string> command() const {
    return options.replay.command.empty() ? recorded_command(recorded) : options.replay.command;
  }

  const EnvironmentBisectOptions& options;
  RunReader recording;
  json recorded;  // the session's `what`
  bool own;
  std::optional<Repository> repository;
  std::string commit;
  std::optional<EnvironmentTrials> trials;
};

// In the checkout's place a trial has the revision's files, whatever lies there outside.
void leave_out_the_checkout(std::vector<EnvironmentDifference>& differences, const Stage& stage) {
  if (!stage.repository) return;
  const fs::path& root = stage.repository->root();
  std::set<fs::path> tracked;
  for (const std::string& file : stage.repository->tracked(stage.commit)) tracked.insert(root / file);
  // A submodule is tracked as a folder.
  const auto is_tracked = [&](fs::path file) {
    for (; is_in(file, root) && file != root; file = file.parent_path())
      if (tracked.contains(file)) return true;
    return false;
  };
  const auto is_the_revisions = [&](const std::string& path) {
    const fs::path file = fs::path(path).lexically_normal();
    return !path.empty() && (is_tracked(file) || (!stage.options.build.empty() && is_in(file, root)));
  };
  std::erase_if(differences, [&](const EnvironmentDifference& difference) {
    if (difference.kind == EnvironmentDifference::Kind::file)
      return is_the_revisions(difference.file_b.path) || is_the_revisions(difference.file_a.path);
    return difference.kind == EnvironmentDifference::Kind::told &&
           (difference.item == "revision" || difference.item.starts_with("uncommitted changes") ||
            difference.item.starts_with("revision of the script"));
  });
}

FileItemOptions file_options(const Stage& stage) {
  FileItemOptions options;
  options.other_is_now = !stage.options.other_run;
  options.can_exchange = stage.own && !stage.options.replay.in_place;
  options.why_not = stage.own ? "files are exchanged in a view alone, and --in-place has none"
                              : "the run is another user's, and what it says of files is not taken from it";
  return options;
}

ItemSet all_of(const std::vector<EnvironmentItem>& items) {
  ItemSet all(items.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

// What the program does in the other environment, over the whole run; the items that tell it from the recorded one.
struct FirstLook {
  EnvironmentItems items;
  TrialAnswer answer;
};

FirstLook look_at_another_run(Stage& stage, FileSources& sources) {
  const RunReader other(*stage.options.other_run, stage.options.replay.rank);
  const json& described = Stage::described(other, *stage.options.other_run);
  FirstLook look;
  look.items = variable_items(stage.recorded, described, false, stage.own);
  auto differences = environment_differences(surroundings_at(stage.recording, stage.recording.first_step()),
                                             surroundings_at(other, other.first_step()));
  leave_out_the_checkout(differences, stage);
  add_differences(look.items, differences, sources, file_options(stage));
  stage.trials->take(look.items.items);
  look.answer = trial_answer_of(stage.trials->look(all_of(look.items.items)));
  return look;
}

FirstLook look_at_what_is_here(Stage& stage, FileSources& sources) {
  FirstLook look;
  look.items = variable_items(stage.recorded, variables_now(stage.command()), true, stage.own);
  stage.trials->take(look.items.items);
  ReplayAnswer replayed = stage.trials->look(all_of(look.items.items));
  look.answer = trial_answer_of(replayed);
  leave_out_the_checkout(replayed.differences, stage);
  add_differences(look.items, replayed.differences, sources, file_options(stage));
  stage.trials->take(look.items.items);
  return look;
}

// Without an item there is nothing to search.
DeltaAnswer answer_of_one_trial(const TrialAnswer& first) {
  DeltaAnswer answer;
  answer.trials = 1;
  answer.steps_replayed = first.steps_replayed;
  answer.why = first.why;
  switch (first.outcome) {
    case TrialOutcome::same:
      answer.conclusion = DeltaConclusion::reproduces;
      answer.why = "the run is reproduced here, and nothing that could be exchanged differs";
      break;
    case TrialOutcome::diverged:
      answer.conclusion = DeltaConclusion::not_restored;
      answer.why = "nothing that differs can be exchanged";
      answer.divergence = first;
      break;
    case TrialOutcome::flaky:
      answer.conclusion = DeltaConclusion::flaky;
      break;
    case TrialOutcome::untestable:
      answer.conclusion = DeltaConclusion::untestable;
      break;
  }
  return answer;
}

void tell_of_the_first(const Stage& stage, const FirstLook& look) {
  const auto count = [](std::size_t number, const char* one, const char* several) {
    return fmt::format("{} {}", number, number == 1 ? one : several);
  };
  const std::string where =
      look.answer.step ? fmt::format("it parts at step {}", *look.answer.step) : std::string(name(look.answer.outcome));
  stage.options.replay.say(fmt::format("{}; {} can be exchanged, {} cannot", where,
                                       count(look.items.items.size(), "difference", "differences"),
                                       count(look.items.kept.size(), "other", "others")));
}

// Few are named: "2 of 9 differences (OMP_NUM_THREADS, /data/train.bin)".
std::string text_of(const ItemSet& in, const std::vector<EnvironmentItem>& items) {
  std::vector<std::string> names;
  for (const std::size_t item : in) names.push_back(printable(items[item].name));
  const bool few = !names.empty() && names.size() <= 3;
  return fmt::format("{} of {} differences{}", in.size(), items.size(),
                     few ? fmt::format(" ({})", fmt::join(names, ", ")) : "");
}

DeltaAnswer search(Stage& stage, const FirstLook& look) {
  const std::vector<EnvironmentItem>& items = look.items.items;
  if (look.answer.step) stage.trials->look_at(window_around(stage.recording, *look.answer.step));
  bool first_told = false;
  const auto& progress = stage.options.replay.progress;
  return find_minimal_set(items.size(), [&](const ItemSet& in) {
    if (in.size() == items.size() && !std::exchange(first_told, true)) return look.answer;
    const std::string what = text_of(in, items);
    progress(fmt::format("trying {}", what));
    const TrialAnswer answer = stage.trials->ask(in);
    progress("");
    stage.options.finished(fmt::format("with {}: {}", what, outcome_and_step(answer)));
    return answer;
  });
}

std::string next_command(const EnvironmentBisectOptions& options) {
  std::vector<std::string> words{"samestep", "bisect", options.run.string(), "--environment"};
  if (!options.good.empty()) words.insert(words.end(), {"--repo", options.repository.string(), "--good", options.good});
  if (!options.build.empty()) words.insert(words.end(), {"--build", options.build});
  for (const fs::path& folder : options.replay.view) words.insert(words.end(), {"--view", folder.string()});
  if (options.replay.network) words.emplace_back("--network");
  if (!options.replay.command.empty()) words.emplace_back("--");
  words.insert(words.end(), options.replay.command.begin(), options.replay.command.end());
  return shell_words(words);
}

}  // namespace

EnvironmentReport bisect_environment(const EnvironmentBisectOptions& options) {
  make_bisect_folder(options.folder);
  FileSources sources(options.from);
  Stage stage(options);
  FirstLook look = options.other_run ? look_at_another_run(stage, sources) : look_at_what_is_here(stage, sources);
  tell_of_the_first(stage, look);
  EnvironmentReport report;
  report.answer = look.items.items.empty() ? answer_of_one_trial(look.answer) : search(stage, look);
  report.items = std::move(look.items.items);
  report.kept = std::move(look.items.kept);
  report.other = options.other_run ? options.other_run->string() : "now";
  report.folder = options.folder;
  return report;
}

ChangedAround look_around(const EnvironmentBisectOptions& options) {
  Stage stage(options);
  const EnvironmentItems variables = variable_items(stage.recorded, variables_now(stage.command()), true, stage.own);
  ReplayAnswer replayed = stage.trials->look({});
  ChangedAround around;
  around.diverges = replayed.verdict.outcome == Outcome::diverged;
  around.step = replayed.verdict.step;
  around.next = next_command(options);
  leave_out_the_checkout(replayed.differences, stage);
  for (const auto kind :
       {EnvironmentDifference::Kind::file, EnvironmentDifference::Kind::setting, EnvironmentDifference::Kind::loaded,
        EnvironmentDifference::Kind::set, EnvironmentDifference::Kind::told})
    for (const EnvironmentDifference& difference : replayed.differences)
      if (difference.kind == kind) around.differences.push_back(describe(difference));
  for (const EnvironmentItem& item : variables.items)
    around.differences.push_back(
        fmt::format("{}: {} against {} (trials had the recorded value)", item.name, item.recorded, item.other));
  return around;
}

}  // namespace samestep
