#include "bisect/requirements_bisect.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <ostream>
#include <sstream>

#include "bisect/environment_trials.h"
#include "bisect/search.h"
#include "bisect/transcript.h"
#include "bisect/trial_folder.h"
#include "bisect/trial_text.h"
#include "replay/player/command.h"
#include "replay/player/sessions.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/run/run_files.h"
#include "replay/run/run_reader.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_lock = std::size_t{8} << 20;

// Lock files as commits: an id by place and contents, a tree by contents.
struct LockHistory {
  std::vector<std::string> ids;
  History history;
};

LockHistory history_of(const std::vector<fs::path>& locks) {
  if (locks.size() < 2) throw BrokenInput("--requirements: give two lock files at least, the oldest first");
  std::vector<std::string> ids;
  std::vector<History::Commit> commits;
  for (const fs::path& lock : locks) {
    const std::string text = text_of_file(fs::weakly_canonical(lock), most_lock);
    const std::string place = fs::absolute(lock).parent_path().string();
    History::Commit commit{
        digest(fmt::format("{}\n{}", ids.size(), text)).hex(), digest(place + "\n" + text).hex(), {}};
    if (!ids.empty()) commit.parents.push_back(ids.back());
    ids.push_back(commit.id);
    commits.push_back(std::move(commit));
  }
  std::ranges::reverse(commits);  // newest first
  return {std::move(ids), History(std::move(commits))};
}

// Its environment would not be asked.
void refuse_a_path_of_python(const std::vector<std::string>& command) {
  if (command.empty() || command.front().find('/') == std::string::npos) return;
  if (!fs::path(command.front()).filename().string().starts_with("python")) return;
  throw BrokenInput(
      fmt::format("the command names its Python by path, {}, so no lock file's environment would be used: give it as "
                  "`{} ...` after --",
                  command.front(), fs::path(command.front()).filename().string()));
}

class Runner {
 public:
  explicit Runner(const RequirementsBisectOptions& options, const LockHistory& locks)
      : options_(options),
        locks_(locks),
        recording_(options.shared.run, options.shared.replay.rank),
        base_(base_python(options.environments.base)),
        window_(whole_run(recording_)) {
    if (recording_.end_step() == recording_.first_step())
      throw BrokenInput(fmt::format("{} holds no step to be reproduced", options.shared.run.string()));
    recorded_ = session_at(recording_, recording_.first_step());
    refuse_a_path_of_python(options.shared.replay.command.empty() ? recorded_command(recorded_)
                                                                  : options.shared.replay.command);
    if (!options.shared.good.empty()) repository_.emplace(options.shared.repository);
  }

  // The last file's first trial finds the step at which it parts.
  void find_window() {
    const TrialAnswer first = ask(locks_.ids.back());
    if (first.outcome != TrialOutcome::diverged || !first.step) return;
    window_ = window_around(recording_, *first.step);
    for (auto& [id, trials] : trials_) trials.look_at(window_);
    options_.shared.replay.say(fmt::format("with the last file it parts at step {}: trials replay steps {} to {}",
                                           *first.step, window_.from, window_.to - 1));
  }

  TrialAnswer ask(const std::string& id) {
    TrialAnswer answer;
    const Prepared prepared = need_environment(id);
    if (prepared.asked_to_stop != 0) throw TrialInterrupted(prepared.asked_to_stop);
    if (!prepared.why.empty()) {
      answer.why = prepared.why;
      return answer;
    }
    return trials_.at(id).ask({});
  }

  [[nodiscard]] const fs::path& lock_of(const std::string& id) const {
    return options_.locks[static_cast<std::size_t>(std::ranges::find(locks_.ids, id) - locks_.ids.begin())];
  }
  [[nodiscard]] PackageVersions packages_of(const std::string& id) {
    return need_environment(id).why.empty() ? environments_.at(id).packages : PackageVersions();
  }

 private:
  Prepared need_environment(const std::string& id) {
    if (const auto failed = failed_.find(id); failed != failed_.end()) return failed->second;
    if (environments_.contains(id)) return {};
    options_.shared.replay.progress(fmt::format("the environment of {}", lock_of(id).string()));
    LockEnvironment environment;
    const fs::path own = new_trial_folder(options_.shared.folder / "environments", id.substr(0, 12), made_);
    Prepared prepared = make_environment(lock_of(id), base_, options_.environments, own / "pip", environment);
    options_.shared.replay.progress("");
    if (prepared.asked_to_stop != 0) return prepared;
    if (!prepared.why.empty()) return failed_[id] = prepared;
    environments_[id] = environment;
    trials_.emplace(id, EnvironmentTrials(settings_for(id, environment), recorded_, window_));
    return {};
  }

  [[nodiscard]] EnvironmentTrialSettings settings_for(const std::string& id, const LockEnvironment& environment) const {
    EnvironmentTrialSettings settings;
    settings.replay = options_.shared.replay;
    settings.replay.run = options_.shared.run;
    settings.replay.environment = samestep::changes_for(environment);
    settings.repository = repository_ ? &*repository_ : nullptr;
    settings.commit = repository_ ? repository_->commit(options_.shared.good) : "";
    settings.build = options_.shared.build;
    settings.build_limits = options_.shared.build_limits;
    settings.folder = options_.shared.folder / "trials" / id.substr(0, 12);
    settings.cache = options_.shared.cache;
    settings.fresh = options_.shared.fresh;
    return settings;
  }

  const RequirementsBisectOptions& options_;
  const LockHistory& locks_;
  RunReader recording_;
  BasePython base_;
  TrialWindow window_;
  nlohmann::json recorded_;
  std::optional<Repository> repository_;
  std::map<std::string, LockEnvironment> environments_;
  std::map<std::string, EnvironmentTrials> trials_;
  std::map<std::string, Prepared> failed_;
  std::uint64_t made_ = 0;
};

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

// People read names, not digests.
class Names {
 public:
  Names(const LockHistory& locks, const std::vector<fs::path>& files) {
    for (std::size_t i = 0; i < files.size(); ++i) names_[locks.ids[i]] = files[i].string();
  }
  void put_into(BisectAnswer& answer) const {
    for (auto* list : {&answer.remaining, &answer.evidence})
      for (std::string& text : *list) put_into(text);
    answer.assumptions = {
        "behaviour changed once in this list: every file from the culprit on diverges, none before it"};
    put_into(answer.why);
    if (answer.accused)
      for (std::string& commit : answer.accused->commits) put_into(commit);
  }

 private:
  void put_into(std::string& text) const {
    for (const auto& [id, name] : names_) replace_all(text, id, name);
    replace_all(text, "of these commits", "of these files");
  }
  std::map<std::string, std::string> names_;
};

void name_changes(RequirementsReport& report, const LockHistory& locks, Runner& runner) {
  if (report.answer.conclusion != Conclusion::culprit) return;
  const auto accused = std::ranges::find(locks.ids, report.answer.accused->commits.front());
  report.before = runner.lock_of(*(accused - 1));
  report.changes = version_changes(runner.packages_of(*(accused - 1)), runner.packages_of(*accused));
}

}  // namespace

RequirementsReport bisect_requirements(const RequirementsBisectOptions& options) {
  const LockHistory locks = history_of(options.locks);
  const SearchOptions wanted{.good = locks.ids.front(), .bad = locks.ids.back()};
  const auto search = make_search(locks.history, wanted);
  Runner runner(options, locks);
  make_bisect_folder(options.shared.folder);
  runner.find_window();
  RequirementsReport report;
  report.log = options.shared.folder / "bisect.log";
  std::ofstream log(report.log);
  log << log_start(wanted) << std::flush;
  const auto keep = [&](const std::string& lines) {
    log << lines << std::flush;
    if (!log) throw BrokenInput("Writing the bisect's log: the disk is full, or its folder is gone");
  };
  const CommitRemark remark = [&](const std::string& id) { return runner.lock_of(id).string(); };
  const Trial trial = [&](const std::string& id) {
    options.shared.replay.progress(fmt::format("{} files suspected; trying {}", search->suspected(), remark(id)));
    const TrialAnswer answer = runner.ask(id);
    options.shared.replay.progress("");
    options.shared.finished(
        fmt::format("{}: {}; {} files suspected", remark(id), outcome_and_step(answer), search->suspected()));
    return answer;
  };
  report.answer = conduct(*search, 1, one_by_one(trial), keep, remark);
  name_changes(report, locks, runner);
  Names(locks, options.locks).put_into(report.answer);
  return report;
}

nlohmann::json to_json(const RequirementsReport& report) {
  nlohmann::json json = to_json(report.answer);
  const bool one = report.answer.conclusion == Conclusion::culprit;
  json["culprit"] = nullptr;
  if (one)
    json["culprit"] = {{"requirements", report.answer.accused->commits.front()},
                       {"before", report.before.string()},
                       {"packages", report.changes}};
  json["log"] = report.log.string();
  return json;
}

std::ostream& operator<<(std::ostream& out, const RequirementsReport& report) {
  std::ostringstream answer;
  answer << report.answer;
  std::string text = answer.str();
  std::string headline = text.substr(0, text.find('\n'));
  text.erase(0, headline.size());
  if (report.answer.conclusion == Conclusion::several) replace_all(headline, " commit", " file");
  out << headline << text;
  if (report.answer.conclusion == Conclusion::culprit) {
    out << "\nchanged since " << printable(report.before.string()) << ":\n";
    for (const std::string& change : report.changes) out << "  " << printable(change) << '\n';
    if (report.changes.empty()) out << "  no version of a package\n";
  }
  return out << "\nlog        " << report.log.string() << '\n';
}

}  // namespace samestep
