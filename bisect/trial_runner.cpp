#include "bisect/trial_runner.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <map>
#include <set>

#include "bisect/build.h"
#include "bisect/checkout.h"
#include "bisect/inputs.h"
#include "bisect/toolchain.h"
#include "replay/player/command.h"
#include "replay/player/sessions.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/run/run_reader.h"
#include "replay/view/places.h"
#include "replay/view/view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

// A revision cannot be blamed for a disk that is full.
void refuse_a_full_disk(const fs::path& folder) {
  constexpr std::uint64_t least = std::uint64_t{8} << 20;
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return;
  if (static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize < least)
    throw BrokenInput(
        fmt::format("The disk of {}, where trials are made, is full: make room and start again.", folder.string()));
}

// The tensors of a step that differs are for a single replay; of many trials they would fill the disk.
void remove_dumps(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> dumps;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    if (entry->path().extension() == ".safetensors") dumps.push_back(entry->path());
  for (const fs::path& dump : dumps) fs::remove(dump, error);
}

void add_paths(std::vector<fs::path>& paths, const nlohmann::json& files) {
  if (!files.is_array()) return;
  for (const auto& file : files) {
    if (!file.is_object() || !file.contains("path") || !file["path"].is_string()) continue;
    const fs::path path = file["path"].get<std::string>();
    if (path.is_absolute() && path.native().find('\0') == std::string::npos) paths.push_back(path);
  }
}

// Files that the recording took: data, program, libraries, modules.
std::vector<fs::path> recorded_inputs(const nlohmann::json& what) {
  std::vector<fs::path> paths;
  if (!what.is_object()) return paths;
  add_paths(paths, what.value("files", nlohmann::json()));
  const nlohmann::json reads = what.value("reads", nlohmann::json());
  if (reads.is_object()) add_paths(paths, reads.value("files", nlohmann::json()));
  return paths;
}

std::string first_sentence(const Verdict& verdict) {
  return verdict.evidence.empty() ? "" : printable(verdict.evidence.front());
}

}  // namespace

TrialAnswer trial_answer_of(const ReplayAnswer& replayed) {
  const Verdict& verdict = replayed.verdict;
  TrialAnswer answer;
  answer.why = first_sentence(verdict);
  answer.steps_replayed = replayed.steps_run;
  if (replayed.untestable) return answer;
  if (verdict.outcome == Outcome::tampered) throw TamperedInput(answer.why);
  if (verdict.outcome == Outcome::flaky) answer.outcome = TrialOutcome::flaky;
  if (verdict.outcome == Outcome::same) answer.outcome = TrialOutcome::same;
  if (verdict.outcome != Outcome::diverged || !verdict.step) return answer;
  answer.outcome = TrialOutcome::diverged;
  answer.step = verdict.step;
  answer.lane = verdict.lane;
  answer.tensor = verdict.tensor;
  return answer;
}

struct TrialRunner::State {
  struct Tried {
    TrialAnswer answer;
    bool holds = true;  // as long as its inputs stay
  };
  State(const Repository& of, TrialSettings given)
      : repository(of),
        settings(std::move(given)),
        recording(settings.replay.run, settings.replay.rank),
        cache(settings.cache, settings.replay.say),
        window(whole_run(recording)),
        what(recording.end_step() > recording.first_step() ? session_at(recording, recording.first_step())
                                                           : recording.manifest().what),
        views(!settings.worktrees && allows_views()) {}

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
  std::map<std::string, std::uint64_t> asked;  // how often, by commit
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

// In this checkout: where the run was recorded in another clone, at the same place of this one.
fs::path TrialRunner::State::recorded_folder() const {
  if (settings.replay.cwd) return fs::absolute(*settings.replay.cwd);
  const auto text = [](const nlohmann::json& object, const char* key) {
    return object.is_object() && object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
  };
  const fs::path cwd = text(what, "cwd");
  const fs::path top = text(what.is_object() ? what.value("revision", nlohmann::json()) : nlohmann::json(), "top");
  if (cwd.empty()) return repository.root();
  if (top.empty() || !is_in(cwd, top)) return cwd;
  return (repository.root() / cwd.lexically_relative(top)).lexically_normal();
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
  const auto limits = [](const Limits& limit) { return nlohmann::json{limit.time.count(), limit.memory}; };
  std::vector<std::string> links;
  for (const fs::path& link : settings.links) links.push_back(link.string());
  return {{"tree", repository.tree(commit)},
          {"sample", sample},
          {"run", manifest_digest(replaying.run)},
          {"rank", replaying.rank},
          {"from", window.from},
          {"to", window.to},
          {"whole", settings.whole},
          {"folder", recorded_folder().string()},
          {"command", replaying.command},
          {"build", settings.build},
          {"limits", {limits(settings.build_limits), limits(replaying.limits)}},
          {"set", replaying.set},
          {"ignore_environment", replaying.ignore_environment},
          {"network", replaying.network},
          {"jump", replaying.jump},
          {"pins", replaying.pins},
          {"views", views},
          {"links", links},
          {"environment", environment_digest(what)},
          {"toolchain", toolchain_digest(settings.build, replaying.command)},
          {"inputs", inputs.digest().hex()}};
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

// Those of an earlier bisect stay.
fs::path TrialRunner::State::new_folder(const std::string& commit) {
  std::error_code error;
  fs::create_directories(settings.folder, error);
  while (!error) {
    fs::path own = settings.folder / fmt::format("{:03}-{}", ++made, commit.substr(0, 12));
    if (fs::create_directory(own, error)) return own;
  }
  throw BrokenInput(fmt::format("Creating a folder in {} failed: {}.", settings.folder.string(), error.message()));
}

ReplayAnswer TrialRunner::State::replay_in_view(const std::string& commit, ReplayOptions options, const fs::path& own) {
  for (fs::path& folder : folders_of(repository)) options.view.push_back(std::move(folder));
  int asked_to_stop = 0;
  options.prepare = [&](View& view) {
    const Prepared prepared = prepare(view, repository, commit, settings.build, settings.build_limits, own);
    asked_to_stop = prepared.asked_to_stop;
    if (!prepared.why.empty()) refuse_a_full_disk(view.storage());
    return prepared.asked_to_stop != 0 ? std::string("it was interrupted") : prepared.why;
  };
  ReplayAnswer answer = replay(options);
  if (asked_to_stop != 0) answer.asked_to_stop = asked_to_stop;
  return answer;
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
    answer.untestable = !prepared.why.empty();
    if (answer.untestable) answer.verdict.evidence.push_back(std::move(prepared.why));
    if (answer.untestable || answer.asked_to_stop != 0) return answer;
  }
  return replay(options);
}

TrialRunner::State::Tried TrialRunner::State::try_once(const std::string& commit, ReplayOptions options,
                                                       const fs::path& own) {
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
  if (answer.outcome == TrialOutcome::untestable) refuse_a_full_disk(own);
  if (settings.whole && replayed.chain) answer.behaviour = replayed.chain->hex();
  const auto changed = inputs.changed();
  if (changed.empty()) return {std::move(answer), true};
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

TrialAnswer TrialRunner::ask(const std::string& commit) {
  const Inputs inputs(state_->untracked_inputs(state_->tracked_files(commit)));
  const nlohmann::json key = state_->key_of(commit, state_->asked[commit]++, inputs);
  if (auto known = state_->cache.find(key)) return std::move(*known);
  const fs::path own = state_->new_folder(commit);
  State::Tried tried = state_->try_once(commit, state_->options_for(own), own);
  if (tried.holds) state_->cache.keep(key, tried.answer);
  return std::move(tried.answer);
}

TrialAnswer TrialRunner::ask_and_save(const std::string& commit, const fs::path& save) {
  const fs::path own = state_->new_folder(commit);
  ReplayOptions options = state_->options_for(own);
  const TrialWindow whole = whole_run(state_->recording);
  options.from = whole.from;
  options.to = whole.to;
  options.keep_going = true;
  options.save = save;
  return state_->try_once(commit, std::move(options), own).answer;
}

}  // namespace samestep
