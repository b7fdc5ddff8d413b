#include "bisect/delta_search.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "bisect/noise.h"

namespace samestep {
namespace {

constexpr double search_risk = 0.005;  // of one decision on the way, which the end would show
// Many sets are asked, and those that erred are the ones that the search ends at.
constexpr double noisy_risk = accusation_risk / 1000;

ItemSet without(const ItemSet& set, const ItemSet& left_out) {
  ItemSet rest;
  std::ranges::set_difference(set, left_out, std::back_inserter(rest));
  return rest;
}

// `count` parts whose sizes differ by one at most.
std::vector<ItemSet> parts_of(const ItemSet& set, std::size_t count) {
  std::vector<ItemSet> parts;
  for (std::size_t i = 0; i < count; ++i)
    parts.emplace_back(set.begin() + static_cast<std::ptrdiff_t>(set.size() * i / count),
                       set.begin() + static_cast<std::ptrdiff_t>(set.size() * (i + 1) / count));
  return parts;
}

class DeltaSearch {
 public:
  DeltaSearch(std::size_t items, const ItemTrial& trial, std::uint64_t most_trials)
      : trial_(trial), most_(most_trials), all_(items) {
    std::iota(all_.begin(), all_.end(), std::size_t{0});
  }

  DeltaAnswer run() {
    if (ends_are_as_claimed()) minimise();
    sum_up();
    return std::move(answer_);
  }

 private:
  bool spent() const { return answer_.trials >= most_; }
  bool quiet() const { return answer_.flaky == 0 && wrong_ == 0; }

  Tally& tally_of(const ItemSet& in) {
    const auto [at, fresh] = place_.try_emplace(in, answer_.tried.size());
    if (fresh) answer_.tried.push_back({in, {}});
    return answer_.tried[at->second].tally;
  }

  void ask(const ItemSet& in) {
    const TrialAnswer answer = trial_(in);
    Tally& tally = tally_of(in);
    ++answer_.trials;
    answer_.steps_replayed += answer.steps_replayed;
    if (answer.outcome == TrialOutcome::same) ++tally.same;
    if (answer.outcome == TrialOutcome::diverged) tally.divergences.emplace(tally.diverged++, answer);
    if (answer.outcome == TrialOutcome::untestable) ++tally.untestable, ++answer_.untestable;
    if (answer.outcome == TrialOutcome::flaky) ++tally.flaky, ++answer_.flaky, noise_.see_flaky();
    if (why_not_[in].empty() && tally.told() == 0) why_not_[in] = answer.why;
    count_errors();
  }

  // As in Tallies: of sets that answered once nothing can be said.
  void count_errors() {
    wrong_ = 0;
    std::vector<Split> repeated;
    for (const TriedSet& each : answer_.tried) {
      wrong_ += minority(each.tally);
      if (each.tally.told() > 1) repeated.push_back(split(each.tally));
    }
    rates_ = noise_.rates_of(repeated);
  }

  // In replays: a divergence is called where two of them agree.
  static std::uint64_t minority(const Tally& tally) { return std::min<std::uint64_t>(tally.same, 2 * tally.diverged); }
  static std::uint64_t majority(const Tally& tally) { return std::max<std::uint64_t>(tally.same, 2 * tally.diverged); }
  static Split split(const Tally& tally) { return {minority(tally), majority(tally)}; }
  double doubt(const Tally& tally) const { return Noise::doubt(split(tally), rates_); }
  static bool leads(const Tally& tally) { return majority(tally) > minority(tally); }
  bool decided(const Tally& tally) const { return leads(tally) && (quiet() || doubt(tally) <= search_risk); }
  bool proven(const Tally& tally, double risk) const {
    return leads(tally) && tally.told() > 1 && doubt(tally) <= (quiet() ? risk : noisy_risk);
  }
  static bool hopeless(const Tally& tally) {
    constexpr std::uint32_t patience = 5;
    if (tally.told() == 0 && tally.untestable > 0) return true;
    return tally.flaky + tally.untestable >= patience * (1 + tally.told());
  }

  TrialOutcome outcome_of(const Tally& tally) const {
    if (leads(tally)) return 2 * tally.diverged > tally.same ? TrialOutcome::diverged : TrialOutcome::same;
    return tally.untestable > tally.flaky + tally.told() ? TrialOutcome::untestable : TrialOutcome::flaky;
  }
  TrialOutcome outcome(const ItemSet& in) {
    while (!decided(tally_of(in)) && !hopeless(tally_of(in)) && !spent()) ask(in);
    return decided(tally_of(in)) ? outcome_of(tally_of(in))
                                 : (tally_of(in).untestable > 0 ? TrialOutcome::untestable : TrialOutcome::flaky);
  }
  // False where it turned out otherwise, or could not be told for certain.
  bool prove(const ItemSet& in, TrialOutcome wanted, double risk) {
    while (!proven(tally_of(in), risk) && !hopeless(tally_of(in)) && !spent()) ask(in);
    return proven(tally_of(in), risk) && outcome_of(tally_of(in)) == wanted;
  }

  // --- The search -----------------------------------------------------------------------------------------------

  void conclude(DeltaConclusion conclusion, std::string why) {
    answer_.conclusion = conclusion;
    answer_.why = std::move(why);
  }

  bool ends_are_as_claimed() {
    return end_is(all_, TrialOutcome::diverged, "with everything as it differs", DeltaConclusion::reproduces,
                  "the run is reproduced with everything as it differs: none of these items makes a difference") &&
           end_is({}, TrialOutcome::same, "with everything put back", DeltaConclusion::not_restored,
                  "it still diverges with everything put back that can be: something else makes the difference");
  }

  // Neither end is called otherwise than claimed on one sample.
  bool end_is(const ItemSet& end, TrialOutcome claimed, const std::string& where, DeltaConclusion otherwise,
              const std::string& why) {
    const TrialOutcome found = outcome(end);
    if (found == claimed) return true;
    if (found == TrialOutcome::untestable) {
      conclude(DeltaConclusion::untestable, where + " it cannot be tried: " + why_not_[end]);
      return false;
    }
    const TrialOutcome other = claimed == TrialOutcome::same ? TrialOutcome::diverged : TrialOutcome::same;
    if (prove(end, other, accusation_risk))
      conclude(otherwise, why);
    else if (decided(tally_of(end)) && outcome_of(tally_of(end)) == claimed)
      return true;
    else
      conclude(DeltaConclusion::flaky, where + " the program differs from itself");
    return false;
  }

  // The first of the sets that diverges.
  std::optional<ItemSet> first_diverging(const std::vector<ItemSet>& sets) {
    for (const ItemSet& set : sets)
      if (outcome(set) == TrialOutcome::diverged) return set;
    return std::nullopt;
  }

  ItemSet ddmin() {
    ItemSet set = all_;
    for (std::size_t count = 2; set.size() > 1;) {
      const std::vector<ItemSet> parts = parts_of(set, count);
      std::vector<ItemSet> complements;
      if (count > 2)  // of two parts each is the other's complement
        for (const ItemSet& part : parts) complements.push_back(without(set, part));
      if (auto part = first_diverging(parts)) {
        set = std::move(*part);
        count = 2;
      } else if (auto complement = first_diverging(complements)) {
        set = std::move(*complement);
        count = std::max<std::size_t>(count - 1, 2);
      } else if (count == set.size()) {
        break;
      } else {
        count = std::min(2 * count, set.size());
      }
    }
    return set;
  }

  bool is_proven(const ItemSet& set) {
    const double risk = accusation_risk / static_cast<double>(set.size() + 1);
    if (!prove(set, TrialOutcome::diverged, risk)) return false;
    return std::ranges::all_of(set,
                               [&](std::size_t item) { return prove(without(set, {item}), TrialOutcome::same, risk); });
  }

  // Whatever errs on the way shows at the end, and then the way is gone again with what is known.
  void minimise() {
    for (;;) {
      const std::uint64_t errors = answer_.flaky + wrong_;
      answer_.set = ddmin();
      const bool proven = is_proven(answer_.set);
      if (answer_.flaky + wrong_ != errors && !spent()) continue;
      if (proven) {
        conclude(DeltaConclusion::minimal, "");
        look_at_the_others();
      } else {
        conclude(DeltaConclusion::open, why_open());
      }
      return;
    }
  }

  void look_at_the_others() {
    const ItemSet others = without(all_, answer_.set);
    answer_.others_diverge = !others.empty() && outcome(others) == TrialOutcome::diverged;
  }

  std::string why_open() {
    if (spent()) return "the limit of " + std::to_string(most_) + " trials was reached";
    for (const std::size_t item : answer_.set) {
      const ItemSet less = without(answer_.set, {item});
      if (outcome_of(tally_of(less)) == TrialOutcome::untestable)
        return "without one of these items alone it cannot be tried: " + why_not_[less];
    }
    return "the program differs from itself too often to tell which of these items it takes";
  }

  void sum_up() {
    answer_.contradictions = wrong_;
    if (answer_.conclusion == DeltaConclusion::not_restored) answer_.set.clear();
    const bool names = answer_.conclusion == DeltaConclusion::minimal || answer_.conclusion == DeltaConclusion::open ||
                       answer_.conclusion == DeltaConclusion::not_restored;
    if (names && !tally_of(answer_.set).divergences.empty())
      answer_.divergence = tally_of(answer_.set).divergences.begin()->second;
    if (answer_.conclusion != DeltaConclusion::minimal) return;
    answer_.wrong_accusation = doubt(tally_of(answer_.set));
    for (const std::size_t item : answer_.set)
      answer_.wrong_accusation += doubt(tally_of(without(answer_.set, {item})));
  }

  const ItemTrial& trial_;
  std::uint64_t most_;
  ItemSet all_;
  std::map<ItemSet, std::size_t> place_;    // in answer_.tried
  std::map<ItemSet, std::string> why_not_;  // what the first answer said that was none
  std::uint64_t wrong_ = 0;                 // answers in the minority
  Noise noise_;
  std::vector<double> rates_;  // Noise::rates_of() the sets that were asked again
  DeltaAnswer answer_;
};

}  // namespace

std::string_view name(DeltaConclusion conclusion) {
  switch (conclusion) {
    case DeltaConclusion::minimal:
      return "minimal";
    case DeltaConclusion::open:
      return "open";
    case DeltaConclusion::reproduces:
      return "reproduces";
    case DeltaConclusion::not_restored:
      return "not_restored";
    case DeltaConclusion::flaky:
      return "flaky";
    case DeltaConclusion::untestable:
      return "untestable";
  }
  return "untestable";
}

DeltaAnswer find_minimal_set(std::size_t items, const ItemTrial& trial, std::uint64_t most_trials) {
  return DeltaSearch(items, trial, most_trials).run();
}

}  // namespace samestep
