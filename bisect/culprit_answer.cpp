// What a CulpritSearch concludes, and how it says so.
#include <algorithm>
#include <set>

#include "bisect/culprit_search.h"

namespace samestep {
namespace {

std::string times(std::uint32_t count, std::uint32_t of) {
  return std::to_string(count) + " of " + std::to_string(of) + (of == 1 ? " trial" : " trials");
}

std::string where(const TrialAnswer& answer) {
  std::string text;
  if (answer.step) text += " at step " + std::to_string(*answer.step);
  if (answer.lane) text += ", " + std::string(name(*answer.lane));
  if (!answer.tensor.empty()) text += ", " + answer.tensor;
  return text;
}

}  // namespace

// "ID diverged in 2 of 2 trials, first at step 12, gradients, head.weight"
std::string CulpritSearch::tell_of(Index commit) const {
  const Tally& tally = tallies().of(commit);
  std::string text = history().at(commit).id;
  if (tally.told() == 0) return text + why_nothing_is_told(tally);
  if (tally.diverged > tally.same) {
    return text + " diverged in " + times(tally.diverged, tally.told()) + ", first" +
           where(tally.divergences.begin()->second);
  }
  return text + " was the same in " + times(tally.same, tally.told());
}

CulpritSearch::End CulpritSearch::conclude() const {
  const std::vector<Index> accused = suspects();
  if (accused.empty()) return wrong(beliefs_.before() > beliefs_.after());
  if (accused.size() > 1) return {Conclusion::several, why_several(accused)};
  if (in_model(accused.front()) && confirmed(accused.front(), true)) {
    const std::vector<Index> parents = should_be_same(accused);
    const auto same = [&](Index parent) { return confirmed(parent, false); };
    if (std::all_of(parents.begin(), parents.end(), same)) return {Conclusion::culprit, ""};
  }
  return {Conclusion::several, why_several(accused)};
}

std::string CulpritSearch::why_several(const std::vector<Index>& accused) const {
  if (budget_spent()) return "the limit of " + std::to_string(options().max_trials) + " trials was reached";
  std::size_t hopeless = 0;
  bool beside = false;
  for (const Index i : accused) {
    hopeless += tallies().hopeless(i) ? 1 : 0;
    beside = beside || !in_model(i);
  }
  for (const Index parent : should_be_same(accused)) beside = beside || never_same(parent);
  if (beside) {
    return "a side branch was forked before the good revision from a commit that does not reproduce the run, or was "
           "not "
           "tried: trials cannot tell its commits from its merge";
  }
  if (hopeless > 0) return std::to_string(hopeless) + " of these commits could not be tried";
  return "no trial that is possible tells them apart";
}

// False where paths were asked for that some commits do not touch.
bool CulpritSearch::all_count() const {
  for (Index i = 0; i < history().size(); ++i)
    if (!history().at(i).counts) return false;
  return true;
}

void CulpritSearch::name_accused(BisectAnswer& answer, const std::vector<Index>& accused) const {
  BehaviourChange change;
  for (const Index i : accused) change.commits.push_back(history().at(i).id);
  const std::vector<Index> diverging = should_diverge(accused);
  for (const Index i : diverging) answer.evidence.push_back(tell_of(i));
  for (const Index i : should_be_same(accused)) answer.evidence.push_back(tell_of(i));
  if (!diverging.empty() && !tallies().of(diverging.front()).divergences.empty()) {
    const TrialAnswer& first = tallies().of(diverging.front()).divergences.begin()->second;
    change.step = first.step;
    change.lane = first.lane;
    change.tensor = first.tensor;
  }
  change.proven = answer.conclusion == Conclusion::culprit;
  if (!change.proven) answer.remaining = change.commits;
  answer.accused = std::move(change);
  tell_why_untried(answer, accused);
  tell_of_another_change(answer);
}

// One commit for each reason.
void CulpritSearch::tell_why_untried(BisectAnswer& answer, const std::vector<Index>& accused) const {
  constexpr std::size_t most = 3;
  std::set<std::string> reasons;
  for (const Index i : accused) {
    if (!tallies().hopeless(i) || reasons.size() == most) continue;
    const std::string reason = why_nothing_is_told(tallies().of(i));
    if (!reason.empty() && reasons.insert(reason).second) answer.evidence.push_back(history().at(i).id + reason);
  }
}

// The bad revision parts where the culprit does, unless something else changed training as well.
void CulpritSearch::tell_of_another_change(BisectAnswer& answer) const {
  const Tally& bad = tallies().of(bad_);
  if (answer.conclusion != Conclusion::culprit || bad.divergences.empty()) return;
  const TrialAnswer& last = bad.divergences.begin()->second;
  if (last.step == answer.accused->step && last.lane == answer.accused->lane) return;
  answer.evidence.push_back("the bad revision parts elsewhere" + where(last) +
                            ": another commit between them changed training too (--all names every change)");
}

std::vector<std::string> CulpritSearch::assumptions() const {
  std::vector<std::string> result{
      "behaviour changed once between the two revisions: every commit that contains the culprit diverges, no other "
      "does "
      "(--all looks at every commit instead)"};
  if (options().first_parent) result.emplace_back("only first parents were followed: a merge stands for its branch");
  for (Index i = 0; i < history().size(); ++i) {
    if (range_.inside[i] == 0 || range_.candidates[i] != 0) continue;
    result.emplace_back("commits outside of --path change nothing");
    break;
  }
  return result;
}

BisectAnswer CulpritSearch::answer() const {
  BisectAnswer answer = costs();
  End end = end_ ? *end_ : conclude();
  if (!end_) end.why = "the search has not ended";
  answer.conclusion = end_ || end.conclusion != Conclusion::culprit ? end.conclusion : Conclusion::several;
  answer.why = end.why;
  answer.flakiness.error_rate = tallies().noise().error_rate(beliefs_.least_wrong(), beliefs_.told());
  answer.flakiness.wrong_accusation = 1 - beliefs_.suspicion();
  answer.flakiness.contradictions = std::max(answer.flakiness.contradictions, beliefs_.least_wrong());
  if (answer.conclusion == Conclusion::culprit || answer.conclusion == Conclusion::several) {
    name_accused(answer, suspects());
  } else {
    answer.evidence = {tell_of(good_), tell_of(bad_)};
  }
  if (answer.conclusion == Conclusion::end_not_as_claimed && tallies().of(bad_).same > tallies().of(bad_).diverged)
    answer.evidence.emplace_back(
        "trials run with the recorded settings: where yours differ from the run by those, --environment looks for "
        "which");
  if (narrowed_) {
    answer.evidence.emplace_back(
        all_count() ? "behaviour changed more than once between the two revisions: this is the change that the "
                      "bad revision still has; --all names the others"
                    : "the commits that touch the paths asked for do not explain what trials answered: behaviour "
                      "changed outside of them, or more than once; --all without --path names every change");
  }
  answer.assumptions = assumptions();
  return answer;
}

}  // namespace samestep
