#include "bisect/change_search.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "replay/run/error.h"

namespace samestep {
namespace {

using Index = History::Index;

bool holds(const std::vector<Index>& commits, Index commit) {
  return std::find(commits.begin(), commits.end(), commit) != commits.end();
}

// The group that `i` is in, by its first member (a union-find with path halving).
Index group_of(std::vector<Index>& first, Index i) {
  while (first[i] != i) i = first[i] = first[first[i]];
  return i;
}

}  // namespace

ChangeSearch::ChangeSearch(History history, SearchOptions options)
    : RevisionSearch(std::move(history), std::move(options)),
      sums_(this->history()),
      good_(this->history().need(this->options().good, "the good revision")),
      bad_(this->history().need(this->options().bad, "the bad revision")),
      inside_(this->history().ancestors({bad_})),
      looked_at_(this->history().size(), 0),
      inferred_(this->history().size()) {
  choose_what_is_looked_at();
}

void ChangeSearch::choose_what_is_looked_at() {
  const Marks before = history().ancestors({good_});
  for (std::size_t i = 0; i < inside_.size(); ++i) inside_[i] = inside_[i] & (1 - before[i]);
  for (Index i = 0; i < history().size(); ++i) {
    if (inside_[i] == 0) continue;
    if (history().at(i).counts) looked_at_[i] = 1;
    for (const Index parent : history().parents(i)) {
      if (inside_[parent] == 0) looked_at_[parent] = 1;
    }
  }
  looked_at_[good_] = looked_at_[bad_] = 1;
  std::set<Index> trees;
  for (Index i = 0; i < history().size(); ++i) {
    if (looked_at_[i] != 0) trees.insert(history().same_tree(i));
  }
  trees_ = trees.size();
}

ChangeSearch::Head ChangeSearch::head(Index commit) const {
  Head best;
  std::uint32_t second = 0;
  for (const auto& [behaviour, count] : tallies().of(commit).behaviours) {
    if (count > best.lead) {
      second = best.lead;
      best = {behaviour, count};
    } else {
      second = std::max(second, count);
    }
  }
  best.lead -= second;
  return best.lead == 0 ? Head{} : best;
}

std::string ChangeSearch::known(Index commit) const {
  const Head tried = head(commit);
  return tried.behaviour.empty() ? inferred_[commit] : tried.behaviour;
}

// A commit that descends from one with a head and has a descendant with the same one.
void ChangeSearch::infer() {
  if (!options().assume_monotone) return;
  std::map<std::string, std::vector<Index>> by_head;
  for (Index i = 0; i < history().size(); ++i) {
    if (looked_at_[i] != 0 && !head(i).behaviour.empty()) by_head[head(i).behaviour].push_back(i);
  }
  inferred_.assign(history().size(), "");
  for (const auto& [behaviour, commits] : by_head) {
    const Marks after = history().descendants(commits);
    const Marks before = history().ancestors(commits);
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (after[i] != 0 && before[i] != 0) inferred_[i] = behaviour;
    }
  }
}

History::Marks ChangeSearch::unknown() const {
  Marks marks = looked_at_;
  for (Index i = 0; i < history().size(); ++i) {
    if (tallies().of(i).told() > 0 || tallies().hopeless(i) || !inferred_[i].empty()) marks[i] = 0;
  }
  return marks;
}

// Commits whose answers are at odds, none of them leading.
std::vector<Index> ChangeSearch::contested() const {
  std::vector<Index> result;
  for (const Index tree : tallies().answered()) {
    if (tallies().of(tree).told() > 0 && head(tree).lead == 0 && !tallies().hopeless(tree)) result.push_back(tree);
  }
  return result;
}

// Unknown commits that hang together: what lies between two that are known.
std::vector<std::vector<Index>> ChangeSearch::areas(const Marks& unknown) const {
  std::vector<Index> first(history().size());
  for (Index i = 0; i < first.size(); ++i) first[i] = i;
  for (Index i = 0; i < first.size(); ++i) {
    for (const Index parent : history().parents(i)) {
      // A commit that does not count joins its neighbours, it is never a border.
      const bool joined = (unknown[i] != 0 || looked_at_[i] == 0) && (unknown[parent] != 0 || looked_at_[parent] == 0);
      if (joined && inside_[parent] != 0) first[group_of(first, i)] = group_of(first, parent);
    }
  }
  std::map<Index, std::vector<Index>> groups;
  for (Index i = 0; i < first.size(); ++i) {
    if (unknown[i] != 0) groups[group_of(first, i)].push_back(i);
  }
  std::vector<std::vector<Index>> result;
  for (auto& [group, commits] : groups) result.push_back(std::move(commits));
  return result;
}

// The commit that has a share of `aim` of the area among its ancestors, nearly.
std::optional<Index> ChangeSearch::part_of(const std::vector<Index>& area, double aim, const Marks& taken) const {
  std::vector<std::uint32_t> weights(history().size(), 0);
  for (const Index i : area) weights[i] = 1;
  const std::vector<std::uint32_t> sums = sums_(weights);
  std::optional<Index> best;
  double nearest = 0;
  for (const Index i : area) {
    if (taken[history().same_tree(i)] != 0) continue;
    const double distance = std::abs(sums[i] - aim * static_cast<double>(area.size() + 1));
    if (best && distance >= nearest) continue;
    best = i;
    nearest = distance;
  }
  return best;
}

// The workers go where most is unknown, each to a part of its own.
std::vector<Index> ChangeSearch::halves(Marks unknown, std::size_t workers) const {
  const std::vector<std::vector<Index>> found = areas(unknown);
  std::vector<std::size_t> assigned(found.size(), 0);
  for (std::size_t worker = 0; worker < workers && !found.empty(); ++worker) {
    const auto worth = [&](std::size_t k) {
      return assigned[k] >= found[k].size() ? 0 : double(found[k].size()) / double(assigned[k] + 1);
    };
    std::size_t best = 0;
    for (std::size_t k = 1; k < found.size(); ++k) best = worth(k) > worth(best) ? k : best;
    ++assigned[best];
  }
  std::vector<Index> questions;
  Marks taken(history().size(), 0);
  for (std::size_t k = 0; k < found.size(); ++k) {
    for (std::size_t part = 1; part <= assigned[k] && questions.size() < workers; ++part) {
      const std::optional<Index> commit = part_of(found[k], double(part) / double(assigned[k] + 1), taken);
      if (!commit) break;
      taken[history().same_tree(*commit)] = 1;
      questions.push_back(*commit);
    }
  }
  return questions;
}

ChangeSearch::Change ChangeSearch::before(Index commit) const {
  Change change{commit, {}, {}};
  std::vector<Index> path{commit};
  Marks seen(history().size(), 0);
  while (!path.empty()) {
    const Index next = path.back();
    path.pop_back();
    if (inside_[next] == 0) continue;
    for (const Index parent : history().parents(next)) {
      if (seen[parent] != 0) continue;
      seen[parent] = 1;
      if (!known(parent).empty()) {
        change.before.push_back(parent);
        continue;
      }
      if (looked_at_[parent] != 0) change.skipped.push_back(parent);
      path.push_back(parent);
    }
  }
  std::sort(change.before.begin(), change.before.end());
  std::sort(change.skipped.begin(), change.skipped.end());
  return change;
}

std::vector<ChangeSearch::Change> ChangeSearch::changes() const {
  std::vector<Change> result;
  for (Index i = 0; i < history().size(); ++i) {
    if (inside_[i] == 0 || looked_at_[i] == 0 || head(i).behaviour.empty()) continue;
    Change change = before(i);
    const auto alike = [&](Index other) { return known(other) == head(i).behaviour; };
    if (!change.before.empty() && std::none_of(change.before.begin(), change.before.end(), alike)) {
      result.push_back(std::move(change));
    }
  }
  return result;
}

double ChangeSearch::error_rate() const {
  double outvoted = 0.5, answers = 1;
  for (const Index tree : tallies().answered()) {
    std::uint32_t most = 0, all = 0;
    for (const auto& [behaviour, count] : tallies().of(tree).behaviours) {
      most = std::max(most, count);
      all += count;
    }
    outvoted += all - most;
    answers += all;
  }
  return std::min(outvoted / answers, 0.45);
}

std::uint32_t ChangeSearch::margin() const {
  const double ratio = error_rate() / (1 - error_rate());
  double risk = static_cast<double>(trees_) * ratio * ratio;
  std::uint32_t k = 2;
  for (; risk > accusation_risk; ++k) risk *= ratio;
  return k;
}

bool ChangeSearch::over_budget() const {
  return tallies().trials() >= options().max_trials + trees_;
}

std::vector<Index> ChangeSearch::plan(std::size_t workers) {
  if (over_budget()) return {};
  std::vector<Index> questions;
  for (const Index end : {good_, bad_}) {
    if (tallies().of(end).told() == 0 && !tallies().hopeless(end)) questions.push_back(end);
  }
  if (questions.empty() && tallies().hopeless(good_) && tallies().hopeless(bad_)) return {};
  infer();
  if (questions.empty()) questions = contested();
  if (questions.empty()) questions = halves(unknown(), workers);
  if (!questions.empty()) return questions;
  for (const Change& change : changes()) {
    std::vector<Index> concerned = change.before;
    concerned.push_back(change.commit);
    for (const Index i : concerned) {
      const bool asked = std::any_of(questions.begin(), questions.end(),
                                     [&](Index other) { return history().same_tree(other) == history().same_tree(i); });
      if (!asked && !believed(i) && !tallies().hopeless(i)) questions.push_back(i);
    }
  }
  return questions;
}

std::size_t ChangeSearch::suspected() const {
  const Marks marks = unknown();
  return static_cast<std::size_t>(std::count(marks.begin(), marks.end(), 1));
}

BehaviourChange ChangeSearch::named(const Change& change) const {
  BehaviourChange result;
  for (const Index i : change.skipped) result.commits.push_back(history().at(i).id);
  result.commits.push_back(history().at(change.commit).id);
  const auto sure = [&](Index i) { return believed(i); };
  result.proven = change.skipped.empty() && believed(change.commit) &&
                  std::all_of(change.before.begin(), change.before.end(), sure);
  result.behaviour_before = known(change.before.front());
  result.behaviour_after = head(change.commit).behaviour;
  for (const auto& [repetition, answer] : tallies().of(change.commit).divergences) {
    if (answer.behaviour != result.behaviour_after) continue;
    result.step = answer.step;
    result.lane = answer.lane;
    result.tensor = answer.tensor;
    break;
  }
  return result;
}

void ChangeSearch::conclude(BisectAnswer& answer) const {
  std::vector<Index> explained;
  for (const Change& change : changes()) {
    answer.changes.push_back(named(change));
    explained.insert(explained.end(), change.skipped.begin(), change.skipped.end());
  }
  for (Index i = 0; i < history().size(); ++i) {
    if (looked_at_[i] == 0 || !known(i).empty() || holds(explained, i)) continue;
    answer.unseen.push_back(history().at(i).id);
    if (const std::string why = why_nothing_is_told(tallies().of(i)); !why.empty())
      answer.evidence.push_back(history().at(i).id + why);
  }
  answer.conclusion = answer.changes.empty() ? Conclusion::unchanged : Conclusion::changes;
  if (tallies().hopeless(good_) && tallies().hopeless(bad_)) {
    answer.conclusion = tallies().flaky() > 0 ? Conclusion::flaky : Conclusion::untestable;
    answer.why = tallies().flaky() > 0 ? "both revisions differ from themselves"
                                       : "neither the good nor the bad revision builds and starts";
  } else if (over_budget()) {
    answer.why = "the limit of " + std::to_string(options().max_trials) + " trials beyond one a revision was reached";
  } else if (!answer.unseen.empty()) {
    answer.why = answer.unseen.size() == 1
                     ? "1 commit could not be looked at: it may have changed behaviour, and the next one back"
                     : std::to_string(answer.unseen.size()) +
                           " commits could not be looked at: they may have changed behaviour and changed it back";
  }
}

BisectAnswer ChangeSearch::answer() const {
  BisectAnswer answer = costs();
  conclude(answer);
  const double ratio = error_rate() / (1 - error_rate());
  answer.flakiness.error_rate = error_rate();
  answer.flakiness.wrong_accusation =
      std::min(1.0, static_cast<double>(trees_) * std::pow(ratio, static_cast<double>(margin())));
  for (const BehaviourChange& change : answer.changes) {
    if (!change.proven) answer.remaining.insert(answer.remaining.end(), change.commits.begin(), change.commits.end());
  }
  if (options().assume_monotone) {
    answer.assumptions.emplace_back("between two revisions that behave alike nothing changed");
  }
  if (options().first_parent) answer.assumptions.emplace_back("only first parents were followed");
  const auto counts = [&](Index i) { return inside_[i] == 0 || history().at(i).counts; };
  for (Index i = 0; i < history().size(); ++i) {
    if (counts(i)) continue;
    answer.assumptions.emplace_back("commits outside of --path change nothing");
    break;
  }
  return answer;
}

}  // namespace samestep
