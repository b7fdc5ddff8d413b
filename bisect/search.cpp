#include "bisect/search.h"

#include <algorithm>

#include "bisect/change_search.h"
#include "bisect/culprit_search.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

// What `options` search of `history`; refuses ends between which nothing can be searched.
History searched(History history, const SearchOptions& options) {
  const History::Index good = history.need(options.good, "the good revision");
  const History::Index bad = history.need(options.bad, "the bad revision");
  if (good == bad) throw BrokenInput("the good and the bad revision are one commit, " + options.good);
  if (history.ancestors({bad})[good] == 0) {
    const bool swapped = history.ancestors({good})[bad] != 0;
    throw BrokenInput("the good revision " + options.good + " is not an ancestor of the bad one, " + options.bad +
                      (swapped ? ": it is the other way round" : ": give one that is, e.g. their `git merge-base`"));
  }
  if (!options.first_parent) return history;
  History line = history.first_parent_line(options.bad, options.good);
  if (!line.find(options.good)) {
    throw BrokenInput("the good revision " + options.good + " is not on the line of first parents of " + options.bad +
                      ": search without --first-parent");
  }
  return line;
}

}  // namespace

RevisionSearch::RevisionSearch(History history, SearchOptions options)
    : history_(searched(std::move(history), options)), options_(std::move(options)), tallies_(history_) {}

std::vector<TrialQuestion> RevisionSearch::ask(std::size_t workers) {
  if (!open_.empty()) return open_;
  std::vector<History::Index> planned = plan(workers);
  if (planned.size() > workers) planned.resize(workers);
  for (const History::Index commit : planned) {
    open_.push_back({history_.at(commit).id, tallies_.next_repetition(commit)});
  }
  rounds_ += open_.empty() ? 0 : 1;
  return open_;
}

void RevisionSearch::tell(const TrialQuestion& question, const TrialAnswer& answer) {
  const auto found = std::find(open_.begin(), open_.end(), question);
  if (found == open_.end()) {
    throw BrokenInput("trial " + std::to_string(question.repetition) + " of " + question.commit +
                      " was answered, which the search does not ask");
  }
  const bool told = answer.outcome == TrialOutcome::same || answer.outcome == TrialOutcome::diverged;
  if (options_.all && told && answer.behaviour.empty()) {
    throw BrokenInput("a trial of " + question.commit + " did not say how the revision behaves over the whole run");
  }
  open_.erase(found);
  tallies_.add(history_.need(question.commit, "a revision"), question.repetition, answer);
}

BisectAnswer RevisionSearch::costs() const {
  BisectAnswer answer;
  answer.trials = tallies_.trials();
  answer.untestable = tallies_.untestable();
  answer.rounds = rounds_;
  answer.steps_replayed = tallies_.steps_replayed();
  answer.flakiness.flaky_answers = tallies_.flaky();
  answer.flakiness.contradictions = tallies_.contradictions();
  answer.flakiness.repeated = tallies_.repeated();
  return answer;
}

std::unique_ptr<RevisionSearch> make_search(const History& history, const SearchOptions& options) {
  if (options.all) return std::make_unique<ChangeSearch>(history, options);
  return std::make_unique<CulpritSearch>(history, options);
}

TrialRound one_by_one(Trial trial) {
  return [trial = std::move(trial)](const std::vector<TrialQuestion>& questions, const auto& tell) {
    for (std::size_t i = 0; i < questions.size(); ++i) tell(i, trial(questions[i].commit));
  };
}

}  // namespace samestep
