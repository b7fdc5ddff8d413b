#include "replay/resume/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "replay/compare/diff.h"
#include "replay/resume/interrupted_run.h"

namespace samestep {
namespace {

constexpr const char* whole_label = "the uninterrupted run";
constexpr const char* resumed_label = "the resumed run";

void say_first(Verdict& verdict, std::string sentence) {
  verdict.evidence.insert(verdict.evidence.begin(), std::move(sentence));
}

// The resume's own steps: those before are the killed run's, which were compared already.
void count_from(Verdict& verdict, std::uint64_t step) {
  verdict.steps_compared -= std::min(verdict.steps_compared, step);
}

// The optimizer was given another state than the run had: that comes before what its first update shows.
void blame_optimizer(Verdict& verdict, const TakeUp& taken) {
  const bool wrong = taken.optimizer == OptimizerFit::lost || taken.optimizer == OptimizerFit::other;
  const bool shows = verdict.lane == Lane::optimizer || verdict.lane == Lane::weights_out;
  if (!wrong || !shows || verdict.step != taken.step) return;
  verdict.evidence.insert(verdict.evidence.begin(),
                          fmt::format("its first update shows it: {}{}{} differs", name(*verdict.lane),
                                      verdict.tensor.empty() ? "" : " of ", verdict.tensor));
  verdict.lane = Lane::optimizer;
  ++verdict.lanes[static_cast<std::size_t>(Lane::optimizer)].differs;
}

void refuse_ambiguous(Verdict& verdict) {
  verdict.outcome = Outcome::incomparable;
  say_first(verdict,
            "several steps of the uninterrupted run have the weights that it started with, so which one it took up "
            "cannot be told, and the steps may be counted wrong");
}

// --- Weights of no step -----------------------------------------------------------------------------------------

using Weights = std::map<std::string, Digest>;

Weights weights_before(const StepSource& run, std::uint64_t step) {
  Weights weights;
  const StepRecord record = run.record(step);
  const LaneRecord& lane = record.of(Lane::weights_in);
  const auto& columns = run.layout(step).of(Lane::weights_in);
  for (std::size_t i = 0; i < lane.digests.size() && i < columns.size(); ++i)
    if (lane.presence.empty() || lane.presence[i] == Presence::present) weights[columns[i].name] = lane.digests[i];
  return weights;
}

struct Nearest {
  std::uint64_t step = 0;
  std::size_t equal = 0;
  bool alone = true;  // no other step has as many
};

std::size_t equal_tensors(const Weights& a, const Weights& b) {
  return static_cast<std::size_t>(std::ranges::count_if(a, [&](const auto& entry) {
    const auto other = b.find(entry.first);
    return other != b.end() && other->second == entry.second;
  }));
}

Nearest nearest_step(const StepSource& whole, const Weights& weights, std::uint64_t reach) {
  constexpr std::uint64_t most_looked_at = 10000;
  Nearest nearest;
  const std::uint64_t end = std::min(reach + 1, whole.end_step());
  const std::uint64_t begin = std::max(whole.first_step(), end > most_looked_at ? end - most_looked_at : 0);
  for (std::uint64_t step = begin; step < end; ++step) {
    const std::size_t equal = equal_tensors(weights, weights_before(whole, step));
    if (equal > nearest.equal)
      nearest = {step, equal, true};
    else if (equal == nearest.equal)
      nearest.alone = false;
  }
  return nearest;
}

// In the order of the resumed program's own table.
std::string first_other(const StepSource& resumed, const Weights& mine, const Weights& recorded) {
  for (const Column& column : resumed.layout(resumed.first_step()).of(Lane::weights_in)) {
    const auto a = mine.find(column.name), b = recorded.find(column.name);
    if (a != mine.end() && (b == recorded.end() || a->second != b->second)) return column.name;
  }
  return "";
}

}  // namespace

Verdict judge_repetition(const StepSource& whole, const StepSource& again, const std::string& label) {
  Verdict verdict = diff({whole, whole_label}, {again, label, "cut short"});
  if (verdict.outcome != Outcome::diverged || verdict.cause == Cause::ended) return verdict;
  verdict.outcome = Outcome::flaky;
  verdict.cause = Cause::nondeterministic;
  say_first(verdict, fmt::format("two uninterrupted runs of the program differ from each other at step {}: it does not "
                                 "repeat itself, so a resume cannot be held to either. samestep doctor tells what is "
                                 "unseeded or not deterministic",
                                 *verdict.step));
  return verdict;
}

Verdict judge_resume(const StepSource& whole, const StepSource& killed, const StepSource& resumed, const TakeUp& taken,
                     const std::string& ended) {
  const InterruptedRun interrupted(killed, resumed);
  Verdict verdict = diff({whole, whole_label, "closed", {*taken.step}}, {interrupted, resumed_label, ended});
  count_from(verdict, *taken.step);
  const bool cut = interrupted.end_step() < whole.end_step() && ended != "closed";
  if (verdict.outcome == Outcome::same && cut) verdict.outcome = Outcome::incomparable;  // it broke off
  if (verdict.outcome == Outcome::diverged) {
    blame_optimizer(verdict, taken);
    if (taken.ambiguous && verdict.cause != Cause::ended) refuse_ambiguous(verdict);
  }
  return verdict;
}

Verdict judge_unknown_weights(const StepSource& whole, const StepSource& resumed, std::uint64_t reach) {
  Verdict verdict;
  verdict.outcome = Outcome::diverged;
  verdict.cause = Cause::state_edited;
  verdict.lane = Lane::weights_in;
  verdict.evidence.emplace_back(
      "no recorded step has the weights that the resume started with: what it read is not what was saved, or what was "
      "saved is not what was trained (averaged weights? another precision?)");
  const Weights mine = weights_before(resumed, resumed.first_step());
  const Nearest nearest = nearest_step(whole, mine, reach);
  if (nearest.equal == 0 || !nearest.alone) return verdict;
  verdict.step = nearest.step;
  verdict.tensor = first_other(resumed, mine, weights_before(whole, nearest.step));
  verdict.evidence.push_back(fmt::format("{} of its {} tensors are those before step {}; the first that is not is {}",
                                         nearest.equal, mine.size(), nearest.step, verdict.tensor));
  return verdict;
}

}  // namespace samestep
