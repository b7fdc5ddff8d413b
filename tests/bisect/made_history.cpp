#include "tests/bisect/made_history.h"

#include <algorithm>
#include <set>
#include <stdexcept>

namespace samestep::testing {
namespace {

using Commit = History::Commit;

std::string made_id(Dice& dice) {
  std::string id;
  while (id.size() < 40) {
    std::uint64_t bits = dice.next();
    for (int k = 0; k < 10; ++k, bits >>= 4) id += "0123456789abcdef"[bits & 15];
  }
  return id;
}

Commit made_commit(Dice& dice, std::vector<std::string> parents, double uncounted) {
  Commit commit{made_id(dice), made_id(dice), std::move(parents), true};
  commit.counts = !dice.chance(uncounted);
  return commit;
}

// Oldest first: a main line, side branches forked up to 20 commits of it back, each before its merge.
std::vector<Commit> commits_of(const HistoryShape& shape, Dice& dice) {
  std::vector<Commit> commits{made_commit(dice, {}, 0)};
  std::vector<std::string> main_line{commits.front().id};
  while (commits.size() < shape.commits) {
    std::vector<std::string> parents{main_line.back()};
    if (commits.size() + 14 < shape.commits && dice.chance(shape.merges)) {
      std::string tip = main_line[main_line.size() - 1 - dice.below(std::min<std::size_t>(20, main_line.size()))];
      for (std::size_t k = dice.below(12) + 1; k > 0; --k) {
        commits.push_back(made_commit(dice, {tip}, shape.uncounted));
        tip = commits.back().id;
      }
      parents.push_back(tip);
    }
    commits.push_back(made_commit(dice, std::move(parents), shape.uncounted));
    main_line.push_back(commits.back().id);
  }
  commits.back().counts = true;
  return commits;
}

History made(const HistoryShape& shape, std::uint64_t seed) {
  Dice dice(seed);
  std::vector<Commit> commits = commits_of(shape, dice);
  std::reverse(commits.begin(), commits.end());
  return History(std::move(commits));
}

}  // namespace

std::uint64_t Dice::next() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

// A commit has the behaviour of the newest change among its ancestors; a merge that is no change itself, of the newest
// one that any parent has. So with one change, what contains it diverges.
MadeHistory::MadeHistory(const HistoryShape& shape, std::uint64_t seed)
    : history_(made(shape, seed)), behaviour_(history_.size(), 0), broken_(history_.size(), 0) {
  Dice dice(seed ^ 0x5eed);
  std::set<std::size_t> at;
  while (at.size() < shape.changes) {
    const std::size_t i = 1 + dice.below(history_.size() - 1);
    if (history_.at(static_cast<History::Index>(i)).counts) at.insert(i);
  }
  std::vector<std::size_t> newest(history_.size(), 0);  // 0: none
  for (std::size_t i = 0; i < history_.size(); ++i) {
    for (const History::Index parent : history_.parents(static_cast<History::Index>(i))) {
      newest[i] = std::max(newest[i], newest[parent]);
    }
    behaviour_[i] = newest[i] == 0 ? 0 : behaviour_[newest[i]];
    if (at.count(i) == 0) continue;
    newest[i] = i;
    // Every second change or so is one back.
    behaviour_[i] = behaviour_[i] != 0 && dice.chance(0.5) ? 0 : static_cast<std::uint32_t>(i);
    // A merge that goes back to what one of its parents did is no change of its own.
    const std::vector<History::Index>& parents = history_.parents(static_cast<History::Index>(i));
    const auto alike = [&](std::size_t parent) { return behaviour_[parent] == behaviour_[i]; };
    if (std::none_of(parents.begin(), parents.end(), alike)) changers_.push_back(i);
  }
  for (std::size_t k = 0; k < shape.broken_ranges; ++k) break_commits(1 + dice.below(history_.size() - 32), 30);
}

void MadeHistory::break_commits(std::size_t first, std::size_t count) {
  for (std::size_t i = first; i < first + count && i + 1 < broken_.size(); ++i) broken_[i] = 1;
}

SearchOptions MadeHistory::options() const {
  SearchOptions options;
  options.good = id(0);
  options.bad = id(history_.size() - 1);
  return options;
}

// It and its parents, where they build, answer as the culprit's would.
bool MadeHistory::plausible(std::size_t c) const {
  if (!broken(c) && !diverges(c)) return false;
  const std::vector<History::Index>& parents = history_.parents(static_cast<History::Index>(c));
  return std::none_of(parents.begin(), parents.end(), [&](std::size_t p) { return !broken(p) && diverges(p); });
}

std::vector<std::string> MadeHistory::indistinguishable() const {
  std::vector<std::string> result;
  for (std::size_t c = 1; c < history_.size(); ++c) {
    if (!history_.at(static_cast<History::Index>(c)).counts || !plausible(c)) continue;
    const History::Marks diverge = history_.descendants({static_cast<History::Index>(c)});
    bool fits = true;
    for (std::size_t i = 0; i < history_.size() && fits; ++i) {
      fits = broken(i) || (diverge[i] != 0) == diverges(i);
    }
    if (fits) result.push_back(id(c));
  }
  return result;
}

TrialAnswer MadeHistory::truth(const std::string& commit) const {
  const History::Index i = history_.need(commit, "a commit");
  TrialAnswer answer;
  if (broken(i)) {
    answer.why = "does not build";
    return answer;
  }
  answer.steps_replayed = 40;
  answer.behaviour = std::string(63, 'b') + "0123456789abcdef"[behaviour(i) % 16] + std::to_string(behaviour(i));
  answer.outcome = diverges(i) ? TrialOutcome::diverged : TrialOutcome::same;
  if (diverges(i)) {
    answer.step = 7 + behaviour(i);
    answer.lane = Lane::gradients;
    answer.tensor = "head.weight";
  }
  return answer;
}

TrialAnswer FlakyTrials::operator()(const std::string& commit) {
  TrialAnswer answer = made_.truth(commit);
  if (answer.outcome == TrialOutcome::untestable) return answer;
  if (dice_.chance(flaky_)) {
    answer = {};
    answer.outcome = TrialOutcome::flaky;
  } else if (dice_.chance(wrong_)) {
    const bool same = answer.outcome == TrialOutcome::same;
    answer.outcome = same ? TrialOutcome::diverged : TrialOutcome::same;
    answer.behaviour = same ? "wrong" : made_.truth(made_.id(0)).behaviour;  // the wrong answers agree: the worst case
  }
  return answer;
}

BisectAnswer conduct(RevisionSearch& search, const Trial& trial, std::size_t workers) {
  std::set<std::pair<std::string, std::uint32_t>> asked;
  for (;;) {
    const std::vector<TrialQuestion> questions = search.ask(workers);
    if (questions.empty()) return search.answer();
    if (questions.size() > workers) throw std::logic_error("more questions than workers");
    for (const TrialQuestion& question : questions) {
      if (!asked.emplace(question.commit, question.repetition).second) throw std::logic_error("one trial asked twice");
      search.tell(question, trial(question.commit));
    }
  }
}

BisectAnswer conduct(const MadeHistory& made, const Trial& trial, std::size_t workers) {
  const std::unique_ptr<RevisionSearch> search = make_search(made.history(), made.options());
  return conduct(*search, trial, workers);
}

}  // namespace samestep::testing
