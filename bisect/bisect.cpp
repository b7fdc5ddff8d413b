#include "bisect/bisect.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>

#include "bisect/dispatcher.h"
#include "bisect/good_end.h"
#include "bisect/range_watch.h"
#include "bisect/search.h"
#include "bisect/search_log.h"
#include "bisect/settings.h"
#include "bisect/side_by_side.h"
#include "bisect/slurm.h"
#include "bisect/slurm_executor.h"
#include "bisect/step_search.h"
#include "bisect/transcript.h"
#include "bisect/trial_folder.h"
#include "kernels/digest.h"
#include "replay/player/command.h"
#include "replay/recorder/descriptor.h"
#include "replay/run/error.h"
#include "replay/run/strict_json.h"
#include "replay/view/places.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

// The range, newest first as `git rev-list --topo-order` has it, and the good revision below it.
History history_of(const Repository& repository, const std::string& good, const std::string& bad,
                   const std::vector<std::string>& paths) {
  std::vector<History::Commit> commits;
  for (const RangeCommit& commit : repository.between(good, bad, paths))
    commits.push_back({commit.id, commit.tree, commit.parents, commit.touches});
  std::ranges::reverse(commits);
  commits.push_back({good, repository.tree(good), {}, true});
  return History(std::move(commits));
}

// Mistyped, a path leaves the search with nothing to accuse.
void need_commits(const std::vector<std::string>& paths, const Repository& repository, const SearchOptions& wanted,
                  const std::function<void(const std::string&)>& say) {
  std::vector<std::string> without;
  for (const std::string& path : paths) {
    const auto range = repository.between(wanted.good, wanted.bad, {path});
    if (std::ranges::none_of(range, &RangeCommit::touches)) without.push_back(path);
  }
  if (without.empty()) return;
  const std::string sentence =
      fmt::format("--path: no commit between {} and {} changes {}; a path is meant from the checkout's top folder",
                  wanted.good.substr(0, 12), wanted.bad.substr(0, 12), shell_words(without));
  if (without.size() == paths.size()) throw BrokenInput(sentence);
  say(sentence);
}

// A file that such a filter would have made stands as git keeps it: of git-lfs, a pointer.
void tell_of_filters(const Repository& repository, const std::function<void(const std::string&)>& say) {
  for (const std::string& filter : repository.git().filters_left_out())
    say(fmt::format(
        "filter.{} is set by the repository itself and is not run: files that it manages stand as git keeps "
        "them. Set it in your own configuration (git config --global) where you trust it",
        filter));
}

void make_new_folder(const fs::path& folder) {
  make_bisect_folder(folder);
  std::error_code error;
  if (!fs::is_empty(folder, error) || error)
    throw BrokenInput(
        fmt::format("The bisect's folder {} is not empty: name another with --folder, or go on with what "
                    "is there: --resume {}",
                    folder.string(), folder.string()));
}

// For a worker that records; one that was lost left a run behind, which the next must not find.
fs::path new_recording_folder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder / "reference", error);
  fs::remove_all(folder / "recording", error);
  if (!fs::create_directory(folder / "recording", error))
    throw BrokenInput(fmt::format("Creating {} failed: {}.", (folder / "recording").string(), error.message()));
  return folder / "recording";
}

// The good revision's own recording, by a worker: where trials run, it runs.
fs::path record_reference(const BisectOptions& options, const Repository& repository, const std::string& good,
                          Executor& executor) {
  RevisionRecording wanted;
  wanted.command = options.replay.command;
  wanted.cwd = options.replay.cwd.value_or(is_in(fs::current_path(), repository.root()) ? fs::current_path()
                                                                                        : repository.root());
  wanted.run = options.folder / "reference";
  wanted.steps = options.steps;
  wanted.build = options.build;
  wanted.build_limits = options.build_limits;
  wanted.limits = options.replay.limits;
  wanted.view = options.replay.view;
  wanted.network = options.replay.network;
  options.replay.say(fmt::format("no run was given: recording the good revision {} first", good.substr(0, 12)));
  std::string why;
  do_side_by_side(
      executor, {Job{repository.root(), good, wanted, {}}},
      [&](std::size_t) { return new_recording_folder(options.folder); },
      [&](std::size_t, const JobAnswer& answer) {
        for (const std::string& line : answer.said) options.replay.say(line);
        why = std::get<std::string>(answer.result);
      });
  if (!why.empty()) throw BrokenInput(fmt::format("Recording the good revision {}: {}", good, why));
  return wanted.run;
}

// A bisect that was interrupted and is started again asks the same; answers that it left are its own.
std::string question_of(const BisectOptions& options, const SearchOptions& wanted) {
  return digest(json_dump({wanted.good, wanted.bad, wanted.first_parent, wanted.all, options.paths})).hex();
}

TrialSettings settings_of(const BisectOptions& options, const SearchOptions& wanted, const fs::path& run) {
  TrialSettings settings;
  settings.asked_by = question_of(options, wanted);
  settings.replay = options.replay;
  settings.replay.run = run;
  settings.replay.led_counts = !options.replay.computed;
  settings.build = options.build;
  settings.build_limits = options.build_limits;
  settings.whole = options.all;
  settings.links = options.links;
  settings.worktrees = options.replay.in_place;
  settings.folder = options.folder / "trials";
  settings.cache = options.cache;
  settings.fresh = options.fresh || options.resume.has_value();
  if (options.slurm) settings.machines = machines_behind(options.slurm_options);
  return settings;
}

// The whole run where the bad revision's replay is kept, else as few windows as tell.
FirstDivergence first_divergence(Dispatcher& trials, const BisectOptions& options, const RunReader& recording,
                                 const std::string& bad) {
  if (options.bad_run) return {trials.ask(bad, options.bad_run), "", 0};
  const auto starts = window_starts(recording, options.replay, trials.in_views());
  return find_first_divergence(starts, recording.end_step(), [&](std::uint64_t from, std::uint64_t to) {
    trials.look_at({from, to});
    return trials.ask(bad);
  });
}

// What the bad revision does first: the others need to be looked at around that step only. Returns what that assumes.
std::string find_window(Dispatcher& trials, const BisectOptions& options, const fs::path& run, const std::string& bad) {
  if (options.all) return "";
  const RunReader recording(run);
  const FirstDivergence first = first_divergence(trials, options, recording, bad);
  trials.look_at(whole_run(recording));
  if (first.answer.outcome != TrialOutcome::diverged || !first.answer.step) return "";
  trials.look_at(window_around(recording, *first.answer.step));
  options.replay.say(fmt::format("the bad revision parts at step {}{}: trials replay steps {} to {}",
                                 *first.answer.step,
                                 first.answer.lane ? fmt::format(" in {}", name(*first.answer.lane)) : "",
                                 trials.window().from, trials.window().to - 1));
  return first.assumption;
}

// The log's. Answers about another window than that of the search would be taken for its own.
void take_window(Dispatcher& trials, const Transcript& before, const RunReader& recording) {
  const LoggedWindow& window = *before.window;
  if (window.from < recording.first_step() || window.to > recording.end_step())
    throw BrokenInput(fmt::format("{}: the run does not hold this window, steps {} to {}", before.window_at,
                                  window.from, window.to - 1));
  if (window.from != window_around(recording, window.from).from)
    throw BrokenInput(
        fmt::format("{}: the run has no anchor at step {}, where this window begins: this is no log of samestep bisect "
                    "over that run, or it was changed",
                    before.window_at, window.from));
  trials.look_at({window.from, window.to});
}

// Returns what the window assumes.
std::string choose_window(Dispatcher& trials, const BisectOptions& options, const std::optional<Transcript>& before,
                          const std::string& bad) {
  if (!before || !before->window) return find_window(trials, options, *options.run, bad);
  take_window(trials, *before, RunReader(*options.run));
  return before->window->assumption;
}

SearchOptions wanted_search(const BisectOptions& options, const Repository& repository) {
  return {.good = repository.commit(options.good),
          .bad = repository.commit(options.bad),
          .first_parent = options.first_parent,
          .all = options.all,
          .assume_monotone = options.assume_monotone};
}

// Fills in what is not said; nullopt where nothing is gone on with.
std::optional<Transcript> take_up(BisectOptions& options) {
  if (!options.resume) return std::nullopt;
  Transcript before = read_search_log(*options.resume);
  take_settings(options, before.trials, options.resume->string());
  if (options.good.empty()) options.good = before.options.good;
  if (options.bad.empty()) options.bad = before.options.bad;
  options.first_parent = options.first_parent || before.options.first_parent;
  options.all = options.all || before.options.all;
  options.assume_monotone = options.assume_monotone || before.options.assume_monotone;
  return before;
}

// Two bisects in one folder would take each other's log away. Where the file system has no locks, nobody can tell.
Descriptor locked(const fs::path& folder) {
  Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor && ::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    throw BrokenInput(
        fmt::format("Another samestep bisect is at work in {}: wait until it has ended, or end it.", folder.string()));
  return descriptor;
}

// The log that is gone on with may be the folder's own.
Descriptor take_folder(const BisectOptions& options) {
  std::error_code error;
  const bool own = options.resume && fs::equivalent(*options.resume, options.folder / log_name, error);
  if (!own) make_new_folder(options.folder);
  return locked(options.folder);
}

KnownAnswers take_answers(const std::optional<Transcript>& before, const RevisionSearch& search,
                          const BisectOptions& options) {
  if (!before) return {};
  KnownAnswers known(*before, search, options.resume->string());
  options.replay.say(fmt::format("going on from {}, which answers {} trial{}", options.resume->string(), known.left(),
                                 known.left() == 1 ? "" : "s"));
  return known;
}

// From the first trial that is really made the search's log is the one that counts: until then an older one holds all.
BisectAnswer make_trials(RevisionSearch& search, std::size_t workers, Dispatcher& trials, KnownAnswers& known,
                         RangeWatch& watch, SearchLog& log, const CommitRemark& remark) {
  const TrialRound made = [&](const std::vector<TrialQuestion>& questions, const auto& tell) {
    log.begin([&] { return known.log_left(remark); });
    trials.run(questions, tell);
  };
  BisectAnswer answer = conduct(
      search, workers, watch.watched(known.before(made)), [&](const std::string& lines) { log.add(lines); }, remark);
  log.begin();
  log.end();
  return answer;
}

// Every commit that the answer accuses, in its order.
std::vector<std::string> accused_in(const BisectAnswer& answer) {
  std::vector<std::string> accused = answer.accused ? answer.accused->commits : answer.remaining;
  for (const BehaviourChange& change : answer.changes)
    accused.insert(accused.end(), change.commits.begin(), change.commits.end());
  return accused;
}

void describe(BisectReport& report, const Repository& repository, const History& history,
              const std::vector<std::string>& paths) {
  const std::vector<std::string> accused = accused_in(report.answer);
  for (const std::string& commit : accused) report.accused.push_back(repository.describe(commit));
  if (report.answer.conclusion != Conclusion::culprit) return;
  const bool within = history.at(history.need(accused.front(), "the culprit")).counts;
  report.diff = repository.diff(accused.front(), within ? paths : std::vector<std::string>{});
}

std::vector<TriedRevision> tried_revisions(const RangeWatch& watch, const History& history,
                                           const Repository& repository) {
  std::vector<TriedRevision> tried;
  for (History::Index i = 0; i < history.size(); ++i) {
    const auto found = watch.answers().find(history.at(i).id);
    if (found != watch.answers().end()) tried.push_back({repository.describe(found->first), found->second});
  }
  return tried;
}

// What the answer stands on: the ends, those accused, and their parents.
std::vector<std::string> commits_that_count(const BisectAnswer& answer, const SearchOptions& wanted,
                                            const History& history) {
  std::vector<std::string> all{wanted.good, wanted.bad};
  for (const std::string& commit : accused_in(answer)) {
    all.push_back(commit);
    const std::vector<std::string>& parents = history.at(history.need(commit, "an accused commit")).parents;
    all.insert(all.end(), parents.begin(), parents.end());
  }
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

// Kept answers beside new ones must have been made with the same: else a commit would be accused of what has changed
// between two bisects. Where all are kept, the answer is the earlier one's; but one that is missing for revisions that
// could not be tried is not believed for ever.
bool kept_answers_hold(const BisectAnswer& answer, Dispatcher& trials, const SearchOptions& wanted,
                       const History& history) {
  if (trials.mixed() && !trials.kept_answers_hold(commits_that_count(answer, wanted, history))) return false;
  const bool open = answer.conclusion != Conclusion::culprit && answer.conclusion != Conclusion::unchanged;
  return !open || trials.kept_untestable_hold();
}

// A search for all changes compares revisions with each other; what they are measured by is the run.
void expect_the_good_to_reproduce(BisectAnswer& answer, const RangeWatch& watch, const std::string& good) {
  const auto found = watch.answers().find(good);
  if (found == watch.answers().end() || mostly(found->second) == TrialOutcome::same) return;
  answer.conclusion = Conclusion::end_not_as_claimed;
  answer.why = fmt::format("the good revision {}; what is named are changes between the revisions",
                           mostly(found->second) == TrialOutcome::diverged ? "does not reproduce the run"
                                                                           : "could not be compared with the run");
}

// One search from its first trial to its answer; nullopt where kept answers turned out to be of something else.
std::optional<BisectReport> search_once(std::unique_ptr<RevisionSearch> search, const BisectOptions& options,
                                        const Repository& repository, const SearchOptions& wanted,
                                        const std::optional<Transcript>& before, Executor& executor) {
  Dispatcher trials(repository, settings_of(options, wanted, *options.run), executor);
  KnownAnswers known = take_answers(before, *search, options);
  const std::size_t in_log = known.left();
  SearchLog log(options.folder / log_name);
  log.add(log_start(wanted) + log_trials(logged_settings(options)));
  if (!before) log.begin();
  trials.on_progress(options.replay.progress);
  const std::string assumption = choose_window(trials, options, before, wanted.bad);
  log.add(log_window({trials.window().from, trials.window().to, assumption}));

  const CommitRemark remark = [&](const std::string& commit) { return repository.describe(commit).subject; };
  RangeWatch watch(*search, options.workers, options.show, remark, options.finished);
  trials.on_progress([&](const std::string& text) { watch.progress(text); });
  BisectReport report;
  report.log = log.file();
  report.answer = make_trials(*search, options.workers, trials, known, watch, log, remark);
  options.replay.progress("");
  trials.on_progress(options.replay.progress);
  if (!kept_answers_hold(report.answer, trials, wanted, search->history())) return std::nullopt;
  report.kept = trials.kept();
  report.logged = in_log - known.left();
  report.window = trials.window();
  report.whole = report.window == whole_run(RunReader(*options.run));
  if (options.all) expect_the_good_to_reproduce(report.answer, watch, wanted.good);
  if (!assumption.empty()) report.answer.assumptions.push_back(assumption);
  if (known.left() > 0)
    options.replay.say(fmt::format("{} of the answers in {} were not needed", known.left(), options.resume->string()));
  describe(report, repository, search->history(), options.paths);
  report.tried = tried_revisions(watch, search->history(), repository);
  return report;
}

// The revision that the answer stands on: the culprit, else the oldest that mostly parts.
std::optional<std::string> first_that_parts(const BisectReport& report) {
  if (report.answer.conclusion == Conclusion::culprit) return report.answer.accused->commits.front();
  const auto parts = [](const TriedRevision& tried) { return mostly(tried.answers) == TrialOutcome::diverged; };
  const auto found = std::ranges::find_if(report.tried, parts);
  return found == report.tried.end() ? std::nullopt : std::optional(found->commit.id);
}

// A trial that was led to its anchor saw what no anchor holds as it happened to be. A revision that is the same there
// is the same; one that parts there may do so by that alone, so the divergence that the answer stands on is computed
// once from the start. False where that gives another answer.
bool stands_when_computed(BisectReport& report, const BisectOptions& options, const Repository& repository,
                          const SearchOptions& wanted, Executor& executor) {
  BisectAnswer& answer = report.answer;
  if (options.replay.computed || !is_led_to(RunReader(*options.run), options.replay, report.window)) return true;
  TrialSettings settings = settings_of(options, wanted, *options.run);
  settings.replay.led_counts = false;
  settings.replay.computed = settings.replay.called_once = true;
  Dispatcher trials(repository, std::move(settings), executor);
  if (!trials.in_views()) return true;  // all was computed
  if (answer.conclusion == Conclusion::flaky) return false;
  const auto revision = first_that_parts(report);
  if (!revision) return true;
  options.replay.say(fmt::format("computing all of {} up to step {}: trials were led to step {}",
                                 revision->substr(0, 12), report.window.to - 1, report.window.from));
  trials.look_at(report.window);
  trials.on_progress(options.replay.progress);
  const TrialAnswer computed = trials.ask(*revision);
  ++answer.trials;
  answer.steps_replayed += computed.steps_replayed;
  if (computed.outcome != TrialOutcome::diverged) return false;
  answer.assumptions.push_back(fmt::format(
      "trials left out computing what comes before step {}; {} parts at step {} when all of it is computed, too",
      report.window.from, revision->substr(0, 12), computed.step.value_or(report.window.from)));
  return true;
}

// Without any answer that was kept.
std::optional<BisectReport> search_anew(BisectOptions& options, const History& history, const Repository& repository,
                                        const SearchOptions& wanted, const std::optional<Transcript>& before,
                                        Executor& executor) {
  options.fresh = true;
  std::error_code ignored;
  if (options.bad_run) fs::remove_all(*options.bad_run, ignored);  // the first search's, which found no such folder
  return search_once(make_search(history, wanted), options, repository, wanted, before, executor);
}

}  // namespace

BisectReport bisect(const BisectOptions& given) {
  BisectOptions options = given;
  const std::optional<Transcript> before = take_up(options);
  if (options.repository.empty()) options.repository = fs::current_path();
  const Repository repository(options.repository);
  options.repository = repository.root();
  const SearchOptions wanted = wanted_search(options, repository);
  const History history = history_of(repository, wanted.good, wanted.bad, options.paths);
  need_commits(options.paths, repository, wanted, options.replay.say);
  tell_of_filters(repository, options.replay.say);
  auto search = make_search(history, wanted);
  const Descriptor lock = take_folder(options);
  const auto executor =
      options.slurm ? slurm_executor(options.slurm_options, options.folder, options.replay.say) : local_executor();
  if (!options.run) options.run = record_reference(options, repository, wanted.good, *executor);
  auto report = search_once(std::move(search), options, repository, wanted, before, *executor);
  if (!report) {
    options.replay.say(
        "answers that an earlier bisect has kept are not what the same revisions answer now: something "
        "that trials read has changed since; making all trials anew");
    report = search_anew(options, history, repository, wanted, before, *executor);
  }
  if (!stands_when_computed(*report, options, repository, wanted, *executor)) {
    options.replay.say(
        "that is not so when all is computed: something that no anchor holds depends on the weights; making "
        "all trials anew, each computed from the start");
    options.replay.computed = true;
    report = search_anew(options, history, repository, wanted, std::nullopt, *executor);
  }
  if (given.run || given.resume) look_around_the_good(*report, options, wanted.good);
  return std::move(*report);
}

}  // namespace samestep
