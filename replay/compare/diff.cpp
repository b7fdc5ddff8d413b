#include "replay/compare/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "replay/compare/evidence.h"
#include "replay/compare/search.h"

namespace samestep {
namespace {

void say(Verdict& verdict, std::string sentence) {
  if (!sentence.empty()) verdict.evidence.push_back(std::move(sentence));
}

Verdict nothing_compared(const RunSide& a, const RunSide& b) {
  Verdict verdict;
  for (const RunSide* side : {&a, &b}) {
    if (side->steps.first_step() == side->steps.end_step()) {
      say(verdict, fmt::format("{} holds no step ({})", side->label, side->ended));
    }
  }
  if (verdict.evidence.empty()) {
    say(verdict, fmt::format("no step is in both: {} has {} to {}, {} has {} to {}", a.label, a.steps.first_step(),
                             a.steps.end_step() - 1, b.label, b.steps.first_step(), b.steps.end_step() - 1));
  }
  return verdict;
}

std::optional<Difference> compare_at(const RunSide& a, const RunSide& b, std::uint64_t step, Verdict& verdict) {
  return compare(a.steps.record(step), a.steps.layout(step), b.steps.record(step), b.steps.layout(step),
                 &verdict.lanes);
}

// Equal chains say nothing of what stands outside the roots (optimizer state off its schedule, named state), and do not
// say which lanes there are. The first and last step, the last one that has the optimizer's state, and milestones do.
std::optional<Difference> compare_samples(const RunSide& a, const RunSide& b, StepRange range, Verdict& verdict) {
  const std::uint64_t last = range.end - 1;
  std::set<std::uint64_t> samples{range.begin, last};
  if (last / optimizer_period * optimizer_period >= range.begin)
    samples.insert(last / optimizer_period * optimizer_period);
  for (const RunSide* side : {&a, &b}) {
    for (const std::uint64_t step : side->milestones)
      if (step >= range.begin && step < range.end) samples.insert(step);
  }
  for (std::uint64_t step : samples) {
    if (auto difference = compare_at(a, b, step, verdict)) return difference;
  }
  return std::nullopt;
}

std::optional<Difference> walk_records(const RunSide& a, const RunSide& b, StepRange range, Verdict& verdict) {
  for (std::uint64_t step = range.begin; step < range.end; ++step) {
    if (auto difference = compare_at(a, b, step, verdict)) return difference;
  }
  return std::nullopt;
}

// From a step whose roots differ. They can differ although every lane captured on both sides agrees: a lane is absent
// (or was given) on one side. The chains cannot be used from there on; the records can. Where none of them differs, the
// steps before are read as well: how often such a lane was compared is to be told.
std::optional<Difference> compare_from(const RunSide& a, const RunSide& b, StepRange range, std::uint64_t parting,
                                       Verdict& verdict) {
  if (auto difference = walk_records(a, b, {parting, range.end}, verdict)) return difference;
  return walk_records(a, b, {range.begin, parting}, verdict);
}

void judge_lengths(Verdict& verdict, const RunSide& a, const RunSide& b, StepRange range) {
  if (a.steps.end_step() == b.steps.end_step()) return;
  const RunSide& shorter = a.steps.end_step() < b.steps.end_step() ? a : b;
  const RunSide& longer = &shorter == &a ? b : a;
  const std::uint64_t end = shorter.steps.end_step();
  say(verdict, fmt::format("{} ends before step {} ({}), {} goes on to step {}; all {} common steps agree",
                           shorter.label, end, shorter.ended, longer.label, longer.steps.end_step() - 1, range.size()));
  if (shorter.ended != "closed") return;
  verdict.outcome = Outcome::diverged;
  verdict.cause = Cause::ended;
  verdict.step = end;
}

Verdict judge_same(Verdict verdict, const RunSide& a, const RunSide& b, StepRange range) {
  if (!any_lane_compared(verdict.lanes)) {
    say(verdict, "no lane was captured on both sides");
    return verdict;
  }
  verdict.outcome = Outcome::same;
  verdict.steps_compared = range.size();
  verdict.last_same_step = range.end - 1;
  judge_lengths(verdict, a, b, range);
  if (a.steps.first_step() != b.steps.first_step()) {
    say(verdict, fmt::format("{} begins at step {}, {} at step {}: only common steps were compared", a.label,
                             a.steps.first_step(), b.label, b.steps.first_step()));
  }
  say(verdict, evidence::renames(a.steps.layout(range.end - 1), b.steps.layout(range.end - 1)));
  verdict.limits = lane_limits(verdict.lanes);
  return verdict;
}

Verdict judge_diverged(Verdict verdict, const RunSide& a, const RunSide& b, StepRange range,
                       const Difference& difference, const Parting& parting) {
  verdict.outcome = Outcome::diverged;
  verdict.steps_compared = difference.step - range.begin + 1;
  if (difference.step > range.begin) verdict.last_same_step = difference.step - 1;
  // The last step that is known equal without having been read: it has the lanes that the divergent step lacks.
  if (const std::uint64_t read = std::min(difference.step, parting.step.value_or(difference.step));
      read > range.begin) {
    (void)compare_at(a, b, read - 1, verdict);
  }
  explain(verdict, difference, a, b);
  if (parting.maybe_earlier) {
    say(verdict, fmt::format("step {} is the first that both have: they may have parted before it", range.begin));
  }
  return verdict;
}

// At the very first step nothing can have been edited "between": other weights come from another initialisation, and
// where the generators differ too, that is a question of seeds.
void sharpen_start(Verdict& verdict, const evidence::Scene& scene) {
  if (scene.difference.step != 0 || scene.difference.lane != Lane::weights_in || scene.difference.structural) return;
  const bool rng = scene.record_a.of(Lane::rng).digest != scene.record_b.of(Lane::rng).digest;
  if (rng) verdict.cause = Cause::rng;
  say(verdict, rng ? "weights and generators differ before the first step: another seed"
                   : "weights differ before the first step: another initialisation");
}

}  // namespace

void explain(Verdict& verdict, const Difference& difference, const RunSide& a, const RunSide& b) {
  const evidence::Scene scene{a, b, difference, a.steps.record(difference.step), b.steps.record(difference.step)};
  verdict.step = difference.step;
  verdict.lane = difference.lane;
  verdict.tensor = difference.tensor;
  verdict.cause = classify(difference);
  say(verdict, fmt::format("{} at step {}: {}", name(difference.lane), difference.step, difference.detail));
  sharpen_start(verdict, scene);
  say(verdict, evidence::gradient_scale(scene));
  say(verdict, evidence::edited_side(scene));
  say(verdict, evidence::replayed_earlier(scene));
  say(verdict, evidence::nearest_detail(scene));
  say(verdict, evidence::losses(scene));
  for (std::string& sentence : evidence::distances(scene)) say(verdict, std::move(sentence));
  say(verdict, evidence::cost(scene));
  say(verdict, evidence::renames(a.steps.layout(difference.step), b.steps.layout(difference.step)));
}

Verdict diff(const RunSide& a, const RunSide& b) {
  const StepRange range = common_steps(a.steps, b.steps);
  if (range.empty()) return nothing_compared(a, b);
  Verdict verdict;
  const Parting parting = first_parting(a.steps, b.steps, range);
  const auto difference =
      parting.step ? compare_from(a, b, range, *parting.step, verdict) : compare_samples(a, b, range, verdict);
  verdict = difference ? judge_diverged(std::move(verdict), a, b, range, *difference, parting)
                       : judge_same(std::move(verdict), a, b, range);
  say(verdict, missing_batch(verdict.lanes, a.label, b.label));
  return verdict;
}

}  // namespace samestep
