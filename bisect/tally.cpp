#include "bisect/tally.h"

#include <algorithm>

namespace samestep {

void Tallies::add(History::Index commit, std::uint32_t repetition, const TrialAnswer& answer) {
  const History::Index tree = history_.same_tree(commit);
  Tally& tally = by_tree_[tree];
  if (tally.told() + tally.flaky + tally.untestable == 0) answered_.push_back(tree);
  ++trials_;
  steps_ += answer.steps_replayed;
  count(tally, repetition, answer);
  estimate_rates();
  now_and_then_ = now_and_then_ || (tally.flaky > 0 && tally.told() > 0);
}

std::string why_nothing_is_told(const Tally& tally) {
  if (tally.flaky > 0) return " is flaky";
  if (tally.untestable == 0) return "";
  return tally.why_untestable.empty() ? " is untestable" : " is untestable: " + tally.why_untestable;
}

void Tallies::count(Tally& tally, std::uint32_t repetition, const TrialAnswer& answer) {
  if (answer.outcome == TrialOutcome::flaky) {
    ++tally.flaky;
    ++flaky_;
    noise_.see_flaky();
  } else if (answer.outcome == TrialOutcome::untestable) {
    if (tally.untestable++ == 0) tally.why_untestable = answer.why;
    ++untestable_;
  } else {
    if (answer.outcome == TrialOutcome::diverged) tally.divergences.emplace(repetition, answer);
    ++(answer.outcome == TrialOutcome::same ? tally.same : tally.diverged);
    if (!answer.behaviour.empty()) ++tally.behaviours[answer.behaviour];
  }
}

// Of trees that answered once nothing can be said.
std::uint64_t Tallies::contradictions() const {
  std::uint64_t sum = 0;
  for (const History::Index tree : answered_) sum += by_tree_[tree].minority();
  return sum;
}

std::uint64_t Tallies::repeated() const {
  std::uint64_t sum = 0;
  for (const History::Index tree : answered_) sum += std::max(by_tree_[tree].told(), 1u) - 1;
  return sum;
}

void Tallies::estimate_rates() {
  std::vector<Split> repeated;
  for (const History::Index tree : answered_) {
    if (by_tree_[tree].told() > 1) repeated.push_back(by_tree_[tree].split());
  }
  rates_ = noise_.rates_of(repeated);
}

bool Tallies::settled(History::Index commit) const {
  const Tally& tally = of(commit);
  return tally.told() > 1 && Noise::doubt(tally.split(), rates_) < accusation_risk / 100;
}

bool Tallies::hopeless(History::Index commit) const {
  const Tally& tally = of(commit);
  if (tally.told() == 0 && tally.untestable > 0) return true;
  const std::uint32_t patience = now_and_then_ ? 10 : 5;
  return tally.flaky + tally.untestable >= patience * (1 + tally.told());
}

}  // namespace samestep
