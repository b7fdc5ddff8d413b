#include "bisect/dispatcher.h"

#include <algorithm>

#include "bisect/side_by_side.h"

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

void Dispatcher::run(const std::vector<TrialQuestion>& questions,
                     const std::function<void(std::size_t, const TrialAnswer&)>& tell) {
  InOrder in_order(questions.size(), tell);
  std::vector<Job> jobs;
  std::vector<std::size_t> asked;  // which question each job answers
  for (std::size_t i = 0; i < questions.size(); ++i) {
    nlohmann::json key = runner_.key_of(questions[i].commit, questions[i].repetition);
    bool other = false;
    if (auto known = cache_.find(key, &other)) {
      ++kept_count_;
      if (other) kept_.push_back({std::move(key), *known});
      in_order.take(i, std::move(*known));
    } else {
      jobs.push_back(job_of(questions[i].commit, std::move(key)));
      asked.push_back(i);
    }
  }
  made_ += jobs.size();
  make(jobs, [&](std::size_t i, const TrialAnswer& answer) { in_order.take(asked[i], answer); });
}

void Dispatcher::look_at(const TrialWindow& window) {
  runner_.look_at(window);
  kept_.clear();
  kept_count_ = made_ = 0;
}

bool Dispatcher::kept_answers_hold(const std::vector<std::string>& commits) {
  std::vector<Job> jobs;
  std::vector<const Kept*> about;
  for (const std::string& commit : commits) {
    const std::string tree = repository_.tree(commit);  // what keys and tallies go by
    const auto found = std::ranges::find_if(kept_, [&](const Kept& kept) { return kept.key["tree"] == tree; });
    if (found == kept_.end()) continue;
    jobs.push_back(job_of(commit, found->key));
    about.push_back(&*found);
  }
  bool hold = true;
  make(jobs, [&](std::size_t i, const TrialAnswer& answer) { hold = hold && says_the_same(about[i]->answer, answer); });
  return hold;
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
