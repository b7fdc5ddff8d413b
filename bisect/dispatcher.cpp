#include "bisect/dispatcher.h"

#include <algorithm>

#include "bisect/side_by_side.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

// Tells answers in the order of their questions, each as soon as those before it are told.
class InOrder {
 public:
  InOrder(std::size_t count, const std::function<void(std::size_t, const TrialAnswer&)>& tell)
      : answers_(count), tell_(tell) {}
  void take(std::size_t i, TrialAnswer answer) {
    answers_[i] = std::move(answer);
    for (; next_ < answers_.size() && answers_[next_]; ++next_) tell_(next_, *answers_[next_]);
  }

 private:
  std::vector<std::optional<TrialAnswer>> answers_;
  std::size_t next_ = 0;
  const std::function<void(std::size_t, const TrialAnswer&)>& tell_;
};

bool says_the_same(const TrialAnswer& a, const TrialAnswer& b) {
  return a.outcome == b.outcome && a.step == b.step && a.lane == b.lane && a.behaviour == b.behaviour;
}

TrialSettings completed(TrialSettings settings, const TrialRunner& runner) {
  settings.worktrees = !runner.in_views();
  return settings;
}

}  // namespace

Dispatcher::Dispatcher(const Repository& repository, TrialSettings settings, Executor& executor)
    : repository_(repository),
      runner_(repository, settings),
      cache_(settings.cache, settings.replay.say, settings.fresh, settings.asked_by),
      executor_(executor) {
  settings_ = completed(std::move(settings), runner_);
}

Job Dispatcher::job_of(const std::string& commit, nlohmann::json key, std::optional<fs::path> save) const {
  return {repository_.root(), commit, TrialTask{settings_, runner_.window(), std::move(save), std::move(key)}, {}};
}

void Dispatcher::make(const std::vector<Job>& jobs, const std::function<void(std::size_t, const TrialAnswer&)>& tell) {
  if (jobs.empty()) return;
  do_side_by_side(
      executor_, jobs, [&](std::size_t i) { return runner_.new_folder(jobs[i].commit); },
      [&](std::size_t i, const JobAnswer& answer) {
        for (const std::string& line : answer.said) settings_.replay.say(line);
        const auto& tried = std::get<TrialRunner::Tried>(answer.result);
        const nlohmann::json& key = std::get<TrialTask>(jobs[i].task).key;
        // The worker has kept it, but maybe on a disk of its own.
        if (tried.holds && !key.is_null() && !cache_.find(key)) cache_.keep(key, tried.answer);
        tell(i, tried.answer);
      },
      progress_);
  progress_("");
}

std::optional<TrialAnswer> Dispatcher::known_answer(const std::string& commit, const nlohmann::json& key) {
  bool other = false;
  auto known = cache_.find(key, &other);
  if (!known || own_.contains(json_dump(key))) return known;
  ++kept_count_;
  if (other) kept_.push_back({commit, key, *known});
  if (known->outcome == TrialOutcome::untestable) untestable_.try_emplace(known->why, Kept{commit, key, *known});
  return known;
}

void Dispatcher::run(const std::vector<TrialQuestion>& questions,
                     const std::function<void(std::size_t, const TrialAnswer&)>& tell) {
  InOrder in_order(questions.size(), tell);
  std::vector<Job> jobs;
  std::vector<std::size_t> asked;  // which question each job answers
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const std::string& commit = questions[i].commit;
    nlohmann::json key = runner_.key_of(commit, questions[i].repetition);
    if (auto known = known_answer(commit, key)) {
      in_order.take(i, std::move(*known));
    } else {
      own_.insert(json_dump(key));
      jobs.push_back(job_of(commit, std::move(key)));
      asked.push_back(i);
    }
  }
  made_ += jobs.size();
  make(jobs, [&](std::size_t i, const TrialAnswer& answer) { in_order.take(asked[i], answer); });
}

void Dispatcher::look_at(const TrialWindow& window) {
  runner_.look_at(window);
  kept_.clear();
  untestable_.clear();
  kept_count_ = made_ = 0;
}

bool Dispatcher::kept_answers_hold(const std::vector<std::string>& commits) {
  std::vector<const Kept*> about;
  for (const std::string& commit : commits) {
    const std::string tree = repository_.tree(commit);  // what keys and tallies go by
    const auto found = std::ranges::find_if(kept_, [&](const Kept& kept) { return kept.key["tree"] == tree; });
    if (found != kept_.end()) about.push_back(&*found);
  }
  return hold(about);
}

bool Dispatcher::kept_untestable_hold() {
  constexpr std::size_t most = 3;
  std::vector<const Kept*> about;
  for (const auto& [why, kept] : untestable_)
    if (about.size() < most) about.push_back(&kept);
  return hold(about);
}

bool Dispatcher::hold(const std::vector<const Kept*>& kept) {
  std::vector<Job> jobs;
  for (const Kept* each : kept) jobs.push_back(job_of(each->commit, each->key));
  bool all = true;
  make(jobs, [&](std::size_t i, const TrialAnswer& answer) { all = all && says_the_same(kept[i]->answer, answer); });
  return all;
}

TrialAnswer Dispatcher::ask(const std::string& commit, const std::optional<fs::path>& save) {
  TrialAnswer found;
  const auto take = [&](std::size_t, const TrialAnswer& answer) { found = answer; };
  if (save)
    make({job_of(commit, nullptr, save)}, take);
  else
    run({{commit, 0}}, take);
  return found;
}

}  // namespace samestep
