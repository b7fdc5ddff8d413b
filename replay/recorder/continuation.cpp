#include "replay/recorder/continuation.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace samestep {

namespace {

// A resume is from a recent checkpoint; further back than this nobody waits for the search.
constexpr std::uint64_t most_looked_at = 100000;

// A lane's digest says which lane it is of; so the weights after a step are looked for as the weights before the next.
bool left_by_the_last_step(const RunReader& run, const Digest& weights) {
  const std::uint64_t last = run.end_step() - 1;
  const StepRecord record = run.record(last);
  const LaneRecord& out = record.of(Lane::weights_out);
  const auto& columns = run.layout(last).of(Lane::weights_in);
  const bool kept = !out.digests.empty() && out.digests.size() == columns.size();
  return kept && lane_digest(Lane::weights_in, out, columns) == weights;
}

// The row says so; the record, checked, must say so too.
bool begins_with(const RunReader& run, std::uint64_t step, const Digest& weights) {
  return run.record(step).of(Lane::weights_in).digest == weights;
}

std::uint64_t first_looked_at(const RunReader& run) {
  const std::uint64_t end = run.end_step();
  return std::max(run.first_step(), end > most_looked_at ? end - most_looked_at : 0);
}

// The last step that left this state of the optimizer.
std::optional<std::uint64_t> step_that_left(const RunReader& run, const Digest& optimizer) {
  for (std::uint64_t step = run.end_step(); step-- > first_looked_at(run);)
    if (run.stated_digest(step, Lane::optimizer) == optimizer) return step;
  return std::nullopt;
}

void fit_optimizer(Continuation& found, OptimizerFit fit, const std::string& sentence) {
  found.optimizer = fit;
  found.text += " " + sentence;
}

// Of the optimizer's state there is a digest at every 16th step, at anchors and where a segment begins.
void judge_optimizer(Continuation& found, const RunReader& run, const protocol::Start& start) {
  if (found.first_step == 0) return;
  const std::uint64_t last = found.first_step - 1;
  const bool never_had_any = run.layout(last).of(Lane::optimizer).empty();  // SGD without momentum
  if (!start.optimizer_in && never_had_any) return;
  if (!start.optimizer_in)
    return fit_optimizer(found, OptimizerFit::lost,
                         "Its optimizer holds no state: what it had learned was not restored.");
  const Digest not_there;
  const Digest there = run.stated_digest(last, Lane::optimizer);
  if (there == *start.optimizer_in)
    return fit_optimizer(found, OptimizerFit::equal, "Its optimizer's state is that after the same step.");
  if (const auto step = step_that_left(run, *start.optimizer_in))
    return fit_optimizer(found, OptimizerFit::other,
                         fmt::format("Its optimizer's state is that after step {}.", *step));
  if (there == not_there)
    return fit_optimizer(
        found, OptimizerFit::unknown,
        fmt::format("Whether its optimizer's state is that after step {} cannot be told: it was not recorded there.",
                    last));
  fit_optimizer(found, OptimizerFit::other, fmt::format("Its optimizer's state is not that after step {}.", last));
}

// How a session's weights stand to the run.
std::string weights_sentence(const RunReader& run, std::optional<std::uint64_t> step) {
  if (run.end_step() == run.first_step()) return "It is the first session with steps.";
  if (!step)
    return fmt::format("Its weights are those of no recorded step: it is counted on after the last one, as step {}.",
                       run.end_step());
  if (*step == 0) return "Its weights are those before step 0: it starts again from the beginning.";
  return fmt::format("Its weights are those after step {}: it goes on at step {}.", *step - 1, *step);
}

}  // namespace

std::vector<std::uint64_t> steps_that_follow(const RunReader& run, const Digest& weights, std::size_t most) {
  std::vector<std::uint64_t> steps;
  if (run.end_step() == run.first_step()) return steps;
  if (left_by_the_last_step(run, weights)) steps.push_back(run.end_step());
  for (std::uint64_t step = run.end_step(); step-- > first_looked_at(run) && steps.size() < most;)
    if (run.stated_digest(step, Lane::weights_in) == weights && begins_with(run, step, weights)) steps.push_back(step);
  return steps;
}

Continuation continue_at(std::shared_ptr<const RunReader> run, std::optional<std::uint64_t> step,
                         const protocol::Start& start) {
  const RunReader& reader = *run;
  Continuation found;
  found.first_step = step.value_or(reader.end_step());
  found.by_weights = step.has_value();
  found.text = weights_sentence(reader, step);
  if (reader.end_step() > reader.first_step()) judge_optimizer(found, reader, start);
  if (found.first_step > reader.first_step()) found.chain_before = reader.chain(found.first_step - 1);
  if (found.first_step < reader.end_step()) found.overlap = std::move(run);
  return found;
}

Continuation continue_run(const std::filesystem::path& run, std::uint32_t rank, const protocol::Start& start) {
  auto earlier = std::make_shared<const RunReader>(run, rank);
  const auto steps = steps_that_follow(*earlier, start.weights_in, 1);
  const auto step = steps.empty() ? std::nullopt : std::optional(steps.front());
  return continue_at(std::move(earlier), step, start);
}

}  // namespace samestep
