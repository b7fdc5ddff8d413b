#include "bisect/culprit_search.h"

#include <algorithm>
#include <limits>

#include "replay/run/error.h"

namespace samestep {
namespace {

using Index = History::Index;
using Marks = History::Marks;

std::vector<Index> marked(const Marks& marks) {
  std::vector<Index> result;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (marks[i] != 0) result.push_back(static_cast<Index>(i));
  }
  return result;
}

bool any(const Marks& marks) {
  return std::find(marks.begin(), marks.end(), 1) != marks.end();
}

bool holds(const std::vector<Index>& commits, Index commit) {
  return std::find(commits.begin(), commits.end(), commit) != commits.end();
}

}  // namespace

CulpritSearch::CulpritSearch(History history, SearchOptions options)
    : RevisionSearch(std::move(history), std::move(options)),
      sums_(this->history()),
      good_(this->history().need(this->options().good, "the good revision")),
      bad_(this->history().need(this->options().bad, "the bad revision")),
      range_(range_between({good_}, bad_)),
      opened_(this->history().size(), 0),
      beliefs_(range_.candidates),
      by_tree_(this->history().size()) {
  for (Index i = 0; i < this->history().size(); ++i) by_tree_[this->history().same_tree(i)].push_back(i);
}

// Without a commit that counts, every commit does: trials have shown that the change came with one left out.
CulpritSearch::Range CulpritSearch::range_between(std::vector<Index> goods, Index bad) const {
  Range range;
  range.inside = history().ancestors({bad});
  const Marks before = history().ancestors(goods);
  range.on_path = history().descendants(goods);
  for (std::size_t i = 0; i < before.size(); ++i) {
    range.inside[i] = range.inside[i] & (1 - before[i]);
    range.on_path[i] = range.on_path[i] & range.inside[i];
    range.candidates.push_back(range.inside[i] != 0 && history().at(static_cast<Index>(i)).counts ? 1 : 0);
  }
  if (!any(range.candidates)) range.candidates = range.inside;
  range.goods = std::move(goods);
  range.bad = bad;
  return range;
}

bool CulpritSearch::in_model(Index commit) const {
  if (range_.on_path[commit] != 0 || holds(range_.goods, commit)) return true;
  return range_.inside[commit] != 0 && opened_[commit] != 0;
}

const CulpritSearch::Contents& CulpritSearch::contents(Index tree) {
  const auto [place, fresh] = contents_.try_emplace(tree);
  Contents& contents = place->second;
  for (const Index commit : by_tree_[tree]) {
    if (!fresh || !in_model(commit)) continue;
    const Marks contained = history().ancestors({commit});
    if (!contents.in_model) contents.some = contents.every = contained;
    contents.in_model = true;
    for (std::size_t i = 0; i < contained.size(); ++i) {
      contents.some[i] |= contained[i];
      contents.every[i] &= contained[i];
    }
  }
  return contents;
}

// One tree is heard once, however many revisions have it.
void CulpritSearch::hear_all() {
  for (const Index tree : tallies().answered()) {
    const Tally& now = tallies().of(tree);
    Tally& before = heard_[tree];
    if (now.told() == before.told()) continue;
    const Contents& revisions = contents(tree);
    if (!revisions.in_model) continue;
    beliefs_.hear(now.same - before.same, now.diverged - before.diverged, revisions.some, revisions.every);
    before.same = now.same;
    before.diverged = now.diverged;
  }
  beliefs_.weigh(tallies().noise());
}

void CulpritSearch::forget() {
  contents_.clear();
  heard_.clear();
  beliefs_ = Beliefs(range_.candidates);
}

void CulpritSearch::learn() {
  hear_all();
  while (contradicted() && narrow()) {
    forget();
    hear_all();
  }
}

bool CulpritSearch::contradicted() {
  if (beliefs_.least_wrong() == 0) return false;
  Beliefs settled(range_.candidates);
  for (const Index tree : tallies().answered()) {
    if (!tallies().settled(tree) || !contents(tree).in_model) continue;
    const bool same = tallies().of(tree).same > tallies().of(tree).diverged;
    settled.hear(same ? 1 : 0, same ? 0 : 1, contents(tree).some, contents(tree).every);
  }
  settled.weigh(tallies().noise());
  return settled.least_wrong() > 0;
}

bool CulpritSearch::narrow() {
  std::vector<Index> goods = range_.goods;
  std::vector<Index> bads{range_.bad};
  for (Index i = 0; i < history().size(); ++i) {
    if (!in_model(i) || !tallies().settled(i)) continue;
    const Tally& tally = tallies().of(i);
    (tally.same > tally.diverged ? goods : bads).push_back(i);
  }
  const Marks before = history().ancestors(goods);
  std::optional<Index> oldest;
  for (const Index bad : bads) {
    // The order has ancestors first, so the smallest index contains no other.
    if (before[bad] == 0 && (!oldest || bad < *oldest)) oldest = bad;
  }
  if (!oldest) return false;
  Range range = range_between(std::move(goods), *oldest);
  if (range.inside == range_.inside) return false;
  range_ = std::move(range);
  narrowed_ = true;
  return true;
}

bool CulpritSearch::unusable_end() {
  const Tally& good = tallies().of(good_);
  const Tally& bad = tallies().of(bad_);
  if (!tallies().hopeless(good_) && !tallies().hopeless(bad_)) return false;
  // Both are asked before it is said that nothing builds.
  if (good.asked == 0 || bad.asked == 0) return false;
  if (tallies().hopeless(good_) && tallies().hopeless(bad_) && good.flaky + bad.flaky == 0) {
    end_ = {Conclusion::untestable, "neither the good nor the bad revision builds and starts"};
    return true;
  }
  const bool which = tallies().hopeless(good_);
  const bool flaky = (which ? good : bad).flaky > 0;
  end_ = {flaky ? Conclusion::flaky : Conclusion::end_not_as_claimed,
          std::string("the ") + (which ? "good" : "bad") +
              (flaky ? " revision differs from itself: no other can be compared with it"
                     : " revision does not build and start: name one that does")};
  return true;
}

CulpritSearch::End CulpritSearch::wrong(bool good) {
  return {Conclusion::end_not_as_claimed,
          good ? "the good revision does not reproduce the run: the cause is not a commit after it"
               : "the bad revision reproduces the run: there is nothing to find before it"};
}

bool CulpritSearch::wrong_end() {
  const auto mostly = [&](Index commit, bool diverged) {
    const Tally& tally = tallies().of(commit);
    return tallies().settled(commit) && (tally.diverged > tally.same) == diverged;
  };
  if (mostly(good_, true)) end_ = wrong(true);
  if (!end_ && mostly(bad_, false)) end_ = wrong(false);
  return end_.has_value();
}

std::vector<Index> CulpritSearch::unchecked_ends() const {
  std::vector<Index> ends;
  for (const Index end : {good_, bad_}) {
    const Tally& tally = tallies().of(end);
    if (tally.told() == 0 && !tallies().hopeless(end)) ends.push_back(end);
  }
  return ends;
}

std::vector<Index> CulpritSearch::plan(std::size_t workers) {
  if (end_ || unusable_end()) return {};
  learn();
  if (wrong_end()) return {};
  std::vector<Index> questions = unchecked_ends();
  if (budget_spent()) {
    end_ = conclude();
    return {};
  }
  add_splitters(questions, workers);
  if (!questions.empty()) return questions;
  questions = side_bases();
  if (questions.empty() && open_sides()) return plan(workers);
  if (questions.empty()) questions = confirmations();
  if (questions.empty()) end_ = conclude();
  return questions;
}

// Commits whose answer would tell suspects apart.
std::vector<Index> CulpritSearch::splitters(bool counted) const {
  const std::vector<std::uint32_t> sums = suspects_contained();
  const std::size_t before = beliefs_.before_suspected() ? 1 : 0;
  const std::size_t total = beliefs_.suspected() + before + (beliefs_.after_suspected() ? 1 : 0);
  std::vector<Index> result;
  for (Index i = 0; i < history().size(); ++i) {
    if (sums[i] + before == 0 || sums[i] + before == total || !in_model(i)) continue;
    const bool first_class = range_.candidates[i] != 0 || i == range_.bad || holds(range_.goods, i);
    if (first_class == counted && !tallies().hopeless(i)) result.push_back(i);
  }
  return result;
}

// What is near a revision that does not build does not build either, likely: until one is found that does. The more
// of them there are, the wider the berth.
std::vector<double> CulpritSearch::testability() const {
  constexpr double far = std::numeric_limits<double>::infinity();
  std::vector<double> distance(history().size(), far);
  double broken = 0;
  const auto pass = [&](std::size_t i, double& since) {
    const Index commit = static_cast<Index>(i);
    since = tallies().of(commit).told() > 0 ? far : tallies().hopeless(commit) ? 0 : since + 1;
    distance[i] = std::min(distance[i], since);
  };
  double since = far;
  for (std::size_t i = 0; i < distance.size(); ++i) pass(i, since);
  since = far;
  for (std::size_t i = distance.size(); i-- > 0;) pass(i, since);
  for (const Index tree : tallies().answered()) broken += tallies().hopeless(tree) ? 1 : 0;
  for (double& d : distance) d = d == far ? 1 : d / (d + 4 + broken);
  for (const Index tree : tallies().answered()) distance[tree] /= 1 + tallies().of(tree).flaky;
  return distance;
}

void CulpritSearch::add_splitters(std::vector<Index>& questions, std::size_t workers) const {
  std::vector<Index> from = splitters(true);
  if (from.empty()) from = splitters(false);
  const std::vector<double> sums = sums_(beliefs_.probability());
  const std::vector<double> testable = testability();
  const bool noisy = beliefs_.least_wrong() > 0 || tallies().flaky() > 0;
  Marks taken(history().size(), 0);  // by tree
  for (const Index commit : questions) taken[history().same_tree(commit)] = 1;
  const std::size_t parts = workers > questions.size() ? workers - questions.size() + 1 : 1;
  for (std::size_t part = 1; part < parts; ++part) {
    const double aim = static_cast<double>(part) / static_cast<double>(parts);
    std::optional<Index> best;
    double most = 0;
    for (const Index i : from) {
      if (taken[history().same_tree(i)] != 0) continue;
      const double diverges = sums[i] + beliefs_.before();
      double score = testable[i] * std::min(diverges / aim, (1 - diverges) / (1 - aim));
      if (noisy && tallies().of(i).told() == 0) score *= 0.9;  // a contradiction is looked into where it arose
      if (best && score <= most) continue;
      best = i;
      most = score;
    }
    if (!best) break;
    taken[history().same_tree(*best)] = 1;
    questions.push_back(*best);
  }
  // Noise is answered by repetition: workers without a revision of their own ask the same ones once more.
  const std::size_t distinct = questions.size();
  for (std::size_t i = 0; noisy && distinct > 0 && questions.size() < workers; ++i) {
    questions.push_back(questions[i % distinct]);
  }
}

// How many suspects each commit contains.
std::vector<std::uint32_t> CulpritSearch::suspects_contained() const {
  const Marks& suspects = beliefs_.suspects();
  return sums_(std::vector<std::uint32_t>(suspects.begin(), suspects.end()));
}

std::vector<Index> CulpritSearch::suspects() const {
  return marked(beliefs_.suspects());
}

// The commits that suspected side branches were forked from, as long as it is not known how they behave.
std::vector<Index> CulpritSearch::side_bases() const {
  std::vector<Index> bases;
  for (const Index i : suspected_sides()) {
    for (const Index parent : history().parents(i)) {
      if (range_.inside[parent] != 0 || tallies().settled(parent) || tallies().hopeless(parent)) continue;
      if (!holds(bases, parent)) bases.push_back(parent);
    }
  }
  return bases;
}

// Commits of side branches from before the good revision that are suspected, with all that they descend from.
std::vector<Index> CulpritSearch::suspected_sides() const {
  std::vector<Index> sides;
  for (const Index i : suspects()) {
    if (range_.on_path[i] == 0 && opened_[i] == 0) sides.push_back(i);
  }
  if (sides.empty()) return sides;
  Marks with_ancestors = history().ancestors(sides);
  for (std::size_t i = 0; i < with_ancestors.size(); ++i) with_ancestors[i] &= range_.inside[i];
  return marked(with_ancestors);
}

// True where a commit was opened that was not before.
bool CulpritSearch::open_sides() {
  bool news = false;
  for (const Index i : suspected_sides()) {
    if (opened_[i] != 0) continue;
    // A parent outside of the history, or none at all: nothing says how the branch began.
    bool open = !history().parents(i).empty() && history().parents(i).size() == history().at(i).parents.size();
    for (const Index parent : history().parents(i)) {
      const Tally& tally = tallies().of(parent);
      open = open && (range_.inside[parent] != 0 ? opened_[parent] != 0
                                                 : tallies().settled(parent) && tally.same > tally.diverged);
    }
    opened_[i] = open ? 1 : 0;
    news = news || open;
  }
  if (news) forget();
  return news;
}

// Where the suspects must show: those of them that can be run; if none can, the oldest revisions that contain them.
std::vector<Index> CulpritSearch::should_diverge(const std::vector<Index>& accused) const {
  std::vector<Index> result;
  for (const Index i : accused) {
    if (in_model(i) && !tallies().hopeless(i)) result.push_back(i);
  }
  const std::vector<std::uint32_t> contained = suspects_contained();
  for (Index i = 0; result.empty() && i < history().size(); ++i) {
    const Tally& tally = tallies().of(i);
    if (!in_model(i) || tally.diverged <= tally.same) continue;
    if (contained[i] == accused.size()) result.push_back(i);
  }
  return result;
}

// The parents of the suspects that contain none of them; in place of one that cannot be run, its own parents.
std::vector<Index> CulpritSearch::should_be_same(const std::vector<Index>& accused) const {
  const std::vector<std::uint32_t> contained = suspects_contained();
  std::vector<Index> result;
  std::vector<Index> children = accused;
  Marks seen(history().size(), 0);
  while (!children.empty()) {
    const Index child = children.back();
    children.pop_back();
    for (const Index parent : history().parents(child)) {
      if (contained[parent] > 0 || seen[parent] != 0) continue;
      seen[parent] = 1;
      (tallies().hopeless(parent) ? children : result).push_back(parent);
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

bool CulpritSearch::confirmed(Index commit, bool diverges) const {
  const Tally& tally = tallies().of(commit);
  const std::uint32_t right = diverges ? tally.diverged : tally.same;
  return right >= 2 && right == tally.majority() && right > tally.minority();
}

// A parent beside the good revision that settled on diverging: no trial changes that.
bool CulpritSearch::never_same(Index commit) const {
  return !in_model(commit) && tallies().settled(commit) && tallies().of(commit).diverged > tallies().of(commit).same;
}

std::vector<Index> CulpritSearch::confirmations() const {
  const std::vector<Index> accused = suspects();
  std::vector<Index> questions;
  const auto want = [&](Index commit, bool diverges) {
    if (!confirmed(commit, diverges) && !tallies().hopeless(commit)) questions.push_back(commit);
  };
  if (accused.empty()) {
    if (beliefs_.before_suspected()) want(good_, true);
    if (beliefs_.after_suspected()) want(bad_, false);
    return questions;
  }
  for (const Index i : should_diverge(accused)) want(i, true);
  for (const Index i : should_be_same(accused)) {
    if (!never_same(i)) want(i, false);
  }
  return questions;
}

std::size_t CulpritSearch::suspected() const {
  return beliefs_.likeliest();
}

}  // namespace samestep
