#include "bisect/trial_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "bisect/build.h"
#include "bisect/checkout.h"
#include "bisect/git_bisect.h"
#include "bisect/inputs.h"
#include "bisect/json_bytes.h"
#include "bisect/trial_folder.h"
#include "bisect/trial_key.h"
#include "replay/player/command.h"
#include "replay/player/sessions.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/run/run_reader.h"
#include "replay/run/strict_json.h"
#include "replay/view/places.h"
#include "replay/view/view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

std::string first_sentence(const Verdict& verdict) {
  return verdict.evidence.empty() ? "" : printable(verdict.evidence.front());
}

}  // namespace

TrialAnswer trial_answer_of(const ReplayAnswer& replayed) {
  const Verdict& verdict = replayed.verdict;
  TrialAnswer answer;
  answer.why = first_sentence(verdict);
  answer.steps_replayed = replayed.steps_run;
  if (replayed.untestable) {
    if (verdict.evidence.size() > 1)
      answer.why += "; " + printable(verdict.evidence.back());  // the program's last words
    return answer;
  }
  if (verdict.outcome == Outcome::tampered) throw TamperedInput(answer.why);
  if (verdict.outcome == Outcome::flaky) answer.outcome = TrialOutcome::flaky;
  if (verdict.outcome == Outcome::same) {
    answer.outcome = TrialOutcome::same;
    answer.why.clear();  // evidence of a replay that is the same says in spite of what
  }
  if (verdict.outcome != Outcome::diverged || !verdict.step) return answer;
  answer.outcome = TrialOutcome::diverged;
  answer.step = verdict.step;
  answer.lane = verdict.lane;
  answer.tensor = verdict.tensor;
  return answer;
}

bool holds_for_long(const ReplayAnswer& replayed) {
  // On a machine that is less busy it may be within its limits.
  if (replayed.passed_limit) return false;
  // Bits of another machine or other settings: another day they may be comparable, under this key.
  return replayed.untestable || replayed.verdict.outcome != Outcome::incomparable;
}

struct TrialRunner::State {
  State(const Repository& of, TrialSettings given)
      : repository(of),
        settings(std::move(given)),
        recording(settings.replay.run, settings.replay.rank),
        cache(settings.cache, settings.replay.say, settings.fresh, settings.asked_by),
        window(whole_run(recording)),
        what(recording.end_step() > recording.first_step() ? session_at(recording, recording.first_step())
                                                           : recording.manifest().what),
        views(!settings.worktrees && (settings.views_needed || allows_views())) {}

  [[nodiscard]] bool allows_views() const;
  [[nodiscard]] fs::path recorded_folder() const;
  [[nodiscard]] nlohmann::json key_of(const std::string& commit, std::uint64_t sample, const Inputs& inputs) const;
  [[nodiscard]] std::vector<fs::path> untracked_inputs(const std::set<fs::path>& tracked) const;
  [[nodiscard]] std::set<fs::path> tracked_files(const std::string& commit) const;
  [[nodiscard]] ReplayOptions options_for(const fs::path& own) const;
  [[nodiscard]] fs::path new_folder(const std::string& commit);
  [[nodiscard]] ReplayAnswer replay_in_view(const std::string& commit, ReplayOptions options, const fs::path& own);
  [[nodiscard]] ReplayAnswer replay_in_worktree(const std::string& commit, ReplayOptions options, const fs::path& own);
  [[nodiscard]] Tried try_once(const std::string& commit, ReplayOptions options, const fs::path& own);

  const Repository& repository;
  TrialSettings settings;
  RunReader recording;
  TrialCache cache;
  TrialWindow window;
  nlohmann::json what;  // of the recorded session
  bool views;
  std::map<std::string, std::uint64_t> asked;  // how often, by tree
  std::uint64_t made = 0;                      // the last folder's number
};

// Asked once: every trial would be refused for the same reason.
bool TrialRunner::State::allows_views() const {
  try {
    ViewOptions options;
    options.cwd = repository.root();
    options.folders = folders_of(repository);
    View(options).probe();
    return true;
  } catch (const ViewRefused& refused) {
    settings.replay.say(
        fmt::format("trials are made in worktrees, in which untracked files are seen only through --link PATH: {}",
                    refused.what()));
    return false;
  }
}

fs::path TrialRunner::State::recorded_folder() const {
  return settings.replay.cwd ? fs::absolute(*settings.replay.cwd) : folder_in_checkout(repository, what);
}

std::set<fs::path> TrialRunner::State::tracked_files(const std::string& commit) const {
  std::set<fs::path> files;
  for (const std::string& file : repository.tracked(commit)) files.insert(repository.root() / file);
  return files;
}

std::vector<fs::path> TrialRunner::State::untracked_inputs(const std::set<fs::path>& tracked) const {
  std::vector<fs::path> paths = recorded_inputs(what);
  std::erase_if(paths, [&](const fs::path& path) { return tracked.contains(path.lexically_normal()); });
  return paths;
}

// Whatever decides an answer. A commit counts by its tree: its message trains nothing.
nlohmann::json TrialRunner::State::key_of(const std::string& commit, std::uint64_t sample, const Inputs& inputs) const {
  const ReplayOptions& replaying = settings.replay;
  nlohmann::json key =
      to_json(TrialKey{replaying, settings.build, settings.build_limits, window, what, sample, settings.machines});
  key["tree"] = repository.tree(commit);
  key["whole"] = settings.whole;
  key["folder"] = bytes_to_json(recorded_folder().native());
  key["jump"] = replaying.jump;
  key["pins"] = replaying.pins;
  key["views"] = views;
  key["links"] = bytes_to_json(settings.links);
  key["inputs"] = inputs.digest().hex();
  return key;
}

ReplayOptions TrialRunner::State::options_for(const fs::path& own) const {
  ReplayOptions options = settings.replay;
  options.from = window.from;
  options.to = window.to;
  options.keep_going = settings.whole;
  options.another_revision = true;
  options.cwd = recorded_folder();
  options.folder = own / "replay";
  options.say = [](const std::string&) {};
  return options;
}

fs::path TrialRunner::State::new_folder(const std::string& commit) {
  return new_trial_folder(settings.folder, commit.substr(0, 12), made);
}

ReplayAnswer TrialRunner::State::replay_in_view(const std::string& commit, ReplayOptions options, const fs::path& own) {
  return replay_revision(std::move(options), repository, commit, settings.build, settings.build_limits, own);
}

ReplayAnswer TrialRunner::State::replay_in_worktree(const std::string& commit, ReplayOptions options,
                                                    const fs::path& own) {
  const Worktree worktree(repository, commit, settings.links);
  options.in_place = true;
  options.view.clear();
  options.cwd = worktree.place_of(*options.cwd);
  ReplayAnswer answer;
  if (!settings.build.empty()) {
    Prepared prepared = build_in(nullptr, worktree.root(), settings.build, settings.build_limits, own / "build.txt");
    answer.asked_to_stop = prepared.asked_to_stop;
    answer.passed_limit = prepared.passed_limit;
    answer.untestable = !prepared.why.empty();
    if (answer.untestable) answer.verdict.evidence.push_back(std::move(prepared.why));
    if (answer.untestable || answer.asked_to_stop != 0) return answer;
  }
  return replay(options);
}

TrialRunner::Tried TrialRunner::State::try_once(const std::string& commit, ReplayOptions options, const fs::path& own) {
  const std::set<fs::path> tracked = tracked_files(commit);
  std::vector<fs::path> watched = untracked_inputs(tracked);
  if (views)
    watched.insert(watched.end(), tracked.begin(), tracked.end());  // those that stand as they are show through
  const Inputs inputs(watched);
  options.limits.ends_when_asked = true;
  const ReplayAnswer replayed =
      views ? replay_in_view(commit, std::move(options), own) : replay_in_worktree(commit, std::move(options), own);
  if (replayed.asked_to_stop != 0) throw TrialInterrupted(replayed.asked_to_stop);
  remove_dumps(own / "replay");
  TrialAnswer answer = trial_answer_of(replayed);
  refuse_a_full_disk(replayed, answer, own);
  if (settings.whole && replayed.chain) answer.behaviour = replayed.chain->hex();
  const auto changed = inputs.changed();
  if (changed.empty()) return {std::move(answer), holds_for_long(replayed)};
  TrialAnswer nothing;
  nothing.steps_replayed = answer.steps_replayed;
  nothing.why = fmt::format("{} changed while the trial ran", printable(changed.front().string()));
  return {std::move(nothing), false};
}

TrialRunner::TrialRunner(const Repository& repository, TrialSettings settings) {
  settings.build_limits.ends_when_asked = true;
  state_ = std::make_unique<State>(repository, std::move(settings));
}

TrialRunner::~TrialRunner() = default;

void TrialRunner::look_at(const TrialWindow& window) {
  state_->window = window;
}

const TrialWindow& TrialRunner::window() const {
  return state_->window;
}

bool TrialRunner::in_views() const {
  return state_->views;
}

nlohmann::json TrialRunner::key_of(const std::string& commit, std::uint64_t sample) const {
  const Inputs inputs(state_->untracked_inputs(state_->tracked_files(commit)));
  return nlohmann::json::parse(json_dump(state_->key_of(commit, sample, inputs)));  // as it comes back from a file
}

bool TrialRunner::has_inputs_of(const std::string& commit, const nlohmann::json& key) const {
  const Inputs now(state_->untracked_inputs(state_->tracked_files(commit)));
  return key.is_object() && key.value("inputs", nlohmann::json()) == now.digest().hex();
}

fs::path TrialRunner::new_folder(const std::string& commit) {
  return state_->new_folder(commit);
}

TrialRunner::Tried TrialRunner::make(const std::string& commit, const fs::path& own,
                                     const std::optional<fs::path>& save) {
  ReplayOptions options = state_->options_for(own);
  options.save = save;
  options.keep_going = options.keep_going || save;
  return state_->try_once(commit, std::move(options), own);
}

TrialAnswer TrialRunner::ask(const std::string& commit) {
  const nlohmann::json key = key_of(commit, state_->asked[state_->repository.tree(commit)]++);
  if (auto known = state_->cache.find(key)) return std::move(*known);
  Tried tried = make(commit, new_folder(commit));
  if (tried.holds) state_->cache.keep(key, tried.answer);
  return std::move(tried.answer);
}

}  // namespace samestep
