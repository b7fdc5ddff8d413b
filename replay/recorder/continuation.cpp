#include "replay/recorder/continuation.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "replay/run/run_reader.h"

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

// The latest step that can follow on `weights`.
std::optional<std::uint64_t> step_that_follows(const RunReader& run, const Digest& weights) {
  const std::uint64_t end = run.end_step();
  if (left_by_the_last_step(run, weights)) return end;
  const std::uint64_t begin = std::max(run.first_step(), end > most_looked_at ? end - most_looked_at : 0);
  for (std::uint64_t step = end; step-- > begin;)
    if (run.stated_digest(step, Lane::weights_in) == weights && begins_with(run, step, weights)) return step;
  return std::nullopt;
}

// Of the optimizer's state there is a digest at every 16th step, at anchors and where a segment begins.
std::string optimizer_sentence(const RunReader& run, std::uint64_t first_step, const protocol::Start& start) {
  if (first_step == 0) return "";
  const bool never_had_any = run.layout(first_step - 1).of(Lane::optimizer).empty();  // SGD without momentum
  if (!start.optimizer_in && never_had_any) return "";
  if (!start.optimizer_in) return " Its optimizer holds no state: what it had learned was not restored.";
  const std::uint64_t last = first_step - 1;
  const Digest not_there;
  const Digest there = run.stated_digest(last, Lane::optimizer);
  if (there == *start.optimizer_in) return " Its optimizer's state is that after the same step.";
  const std::uint64_t end = run.end_step();
  const std::uint64_t begin = std::max(run.first_step(), end > most_looked_at ? end - most_looked_at : 0);
  for (std::uint64_t step = end; step-- > begin;)
    if (run.stated_digest(step, Lane::optimizer) == *start.optimizer_in)
      return fmt::format(" Its optimizer's state is that after step {}.", step);
  if (there == not_there)
    return fmt::format(
        " Whether its optimizer's state is that after step {} cannot be told: it was not recorded there.", last);
  return fmt::format(" Its optimizer's state is not that after step {}.", last);
}

}  // namespace

Continuation continue_run(const std::filesystem::path& run, std::uint32_t rank, const protocol::Start& start) {
  auto earlier = std::make_shared<const RunReader>(run, rank);
  const RunReader& reader = *earlier;
  Continuation found;
  found.first_step = reader.end_step();
  if (reader.end_step() == reader.first_step()) {
    found.text = "It is the first session with steps.";
  } else if (const auto step = step_that_follows(reader, start.weights_in)) {
    found.first_step = *step;
    found.text = *step == 0
                     ? "Its weights are those before step 0: it starts again from the beginning."
                     : fmt::format("Its weights are those after step {}: it goes on at step {}.", *step - 1, *step);
  } else {
    found.text =
        fmt::format("Its weights are those of no recorded step: it is counted on after the last one, as step {}.",
                    found.first_step);
  }
  if (reader.end_step() > reader.first_step()) found.text += optimizer_sentence(reader, found.first_step, start);
  if (found.first_step > reader.first_step()) found.chain_before = reader.chain(found.first_step - 1);
  if (found.first_step < reader.end_step()) found.overlap = std::move(earlier);
  return found;
}

}  // namespace samestep
