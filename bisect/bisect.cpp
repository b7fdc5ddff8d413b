#include "bisect/bisect.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <ostream>

#include "bisect/record_revision.h"
#include "bisect/search.h"
#include "bisect/transcript.h"
#include "replay/run/error.h"

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

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_empty(folder, error) || error)
    throw BrokenInput(fmt::format("{}: the bisect's folder cannot be made, or is not empty", folder.string()));
}

// The good revision's own recording.
fs::path record_reference(const BisectOptions& options, const Repository& repository, const std::string& good) {
  RevisionRecording wanted;
  wanted.command = options.replay.command;
  wanted.cwd = options.replay.cwd.value_or(fs::current_path());
  wanted.run = options.folder / "reference";
  wanted.steps = options.steps;
  wanted.build = options.build;
  wanted.build_limits = options.build_limits;
  wanted.limits = options.replay.limits;
  wanted.view = options.replay.view;
  wanted.network = options.replay.network;
  wanted.folder = options.folder / "recording";
  wanted.say = options.replay.say;
  options.replay.say(fmt::format("no run was given: recording the good revision {} first", good.substr(0, 12)));
  const Prepared recorded = record_revision(repository, good, wanted);
  if (recorded.asked_to_stop != 0) throw TrialInterrupted(recorded.asked_to_stop);
  if (!recorded.why.empty()) throw BrokenInput(fmt::format("Recording the good revision {}: {}", good, recorded.why));
  return wanted.run;
}

TrialSettings settings_of(const BisectOptions& options, const fs::path& run) {
  TrialSettings settings;
  settings.replay = options.replay;
  settings.replay.run = run;
  settings.build = options.build;
  settings.build_limits = options.build_limits;
  settings.whole = options.all;
  settings.links = options.links;
  settings.worktrees = options.replay.in_place;
  settings.folder = options.folder / "trials";
  settings.cache = options.cache;
  return settings;
}

// What the bad revision does first, over the whole run: the others need to be looked at around that step only.
void find_window(TrialRunner& runner, const BisectOptions& options, const fs::path& run, const std::string& bad) {
  if (options.all) return;
  const TrialAnswer first = options.bad_run ? runner.ask_and_save(bad, *options.bad_run) : runner.ask(bad);
  if (first.outcome != TrialOutcome::diverged || !first.step) return;
  runner.look_at(window_around(RunReader(run), *first.step));
  options.replay.say(fmt::format("the bad revision parts at step {}{}: trials replay steps {} to {}", *first.step,
                                 first.lane ? fmt::format(" in {}", name(*first.lane)) : "", runner.window().from,
                                 runner.window().to - 1));
}

class Log {
 public:
  explicit Log(const fs::path& file) : out_(file) {}
  void add(const std::string& lines) {
    out_ << lines << std::flush;
    if (!out_) throw BrokenInput("Writing the bisect's log: the disk is full, or its folder is gone");
  }

 private:
  std::ofstream out_;
};

void describe(BisectReport& report, const Repository& repository, const std::vector<std::string>& paths) {
  std::vector<std::string> accused = report.answer.remaining;
  if (report.answer.accused) accused = report.answer.accused->commits;
  for (const BehaviourChange& change : report.answer.changes)
    accused.insert(accused.end(), change.commits.begin(), change.commits.end());
  for (const std::string& commit : accused) report.accused.push_back(repository.describe(commit));
  if (report.answer.conclusion == Conclusion::culprit) report.diff = repository.diff(accused.front(), paths);
}

nlohmann::json to_json(const CommitDescription& commit) {
  return {{"author", commit.author},
          {"date", commit.date},
          {"subject", commit.subject},
          {"signature", commit.signature},
          {"signer", commit.signer}};
}

}  // namespace

BisectReport bisect(const BisectOptions& options) {
  const Repository repository(options.repository);
  const std::string good = repository.commit(options.good), bad = repository.commit(options.bad);
  const SearchOptions wanted{.good = good,
                             .bad = bad,
                             .first_parent = options.first_parent,
                             .all = options.all,
                             .assume_monotone = options.assume_monotone};
  const auto search = make_search(history_of(repository, good, bad, options.paths), wanted);
  make_folder(options.folder);
  const fs::path run = options.run ? *options.run : record_reference(options, repository, good);
  TrialRunner runner(repository, settings_of(options, run));
  find_window(runner, options, run, bad);

  BisectReport report;
  report.log = options.folder / "bisect.log";
  Log log(report.log);
  log.add(log_start(wanted));
  const CommitRemark remark = [&](const std::string& commit) { return repository.describe(commit).subject; };
  const Trial trial = [&](const std::string& commit) {
    options.replay.progress(
        fmt::format("{} commits suspected; trying {} {}", search->suspected(), commit.substr(0, 12), remark(commit)));
    const TrialAnswer answer = runner.ask(commit);
    options.replay.progress("");
    return answer;
  };
  report.answer = conduct(
      *search, 1, one_by_one(trial), [&](const std::string& lines) { log.add(lines); }, remark);
  describe(report, repository, options.paths);
  return report;
}

nlohmann::json to_json(const BisectReport& report) {
  const auto describe = [&](const std::string& commit) -> nlohmann::json {
    const auto found = std::ranges::find(report.accused, commit, &CommitDescription::id);
    return found != report.accused.end() ? to_json(*found) : nlohmann::json::object();
  };
  nlohmann::json json = to_json(report.answer, describe);
  json["log"] = report.log.string();
  json["diff"] = report.diff.text.empty() ? nlohmann::json() : nlohmann::json(report.diff.text);
  return json;
}

std::ostream& operator<<(std::ostream& out, const BisectReport& report) {
  out << report.answer;
  for (const CommitDescription& commit : report.accused) {
    out << fmt::format("\ncommit     {}\nauthor     {}\ndate       {}\nsignature  {}{}\n           {}\n", commit.id,
                       commit.author, commit.date, commit.signature,
                       commit.signer.empty() ? "" : " (" + commit.signer + ")", commit.subject);
  }
  if (!report.diff.text.empty()) out << '\n' << report.diff.text << (report.diff.cut ? "... (it is longer)\n" : "");
  return out << "\nlog        " << report.log.string() << '\n';
}

}  // namespace samestep
