#include "replay/player/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "replay/player/command.h"
#include "replay/player/sessions.h"
#include "replay/recorder/protocol.h"
#include "replay/run/error.h"

namespace samestep {
namespace {

std::string outside(const Plan& plan, const ReplayOptions& options, std::uint64_t first, std::uint64_t end) {
  const std::string asked = !options.to                ? fmt::format("--from {}", plan.from)
                            : plan.to == plan.from + 1 ? fmt::format("step {}", plan.from)
                                                       : fmt::format("steps {} to {}", plan.from, plan.to - 1);
  return fmt::format("{} lies outside the recording, which has steps {} to {}", asked, first, end - 1);
}

void cut_to_recording(Plan& plan, const ReplayOptions& options, std::uint64_t first, std::uint64_t end) {
  if (first == end) {
    plan.refusal = "the recording holds no step of this rank";
  } else if (plan.from >= end || plan.to <= first) {
    plan.refusal = outside(plan, options, first, end);
  } else if (plan.to > end || plan.from < first) {
    plan.remark =
        fmt::format("asked for steps {} to {}, recorded are {} to {}", plan.from, plan.to - 1, first, end - 1);
    plan.whole = false;
    plan.to = std::min(plan.to, end);
    plan.from = std::max(plan.from, first);
  }
}

// The first step that the process of `step` recorded.
std::uint64_t start_of_the_process(const RunReader& recording, std::uint64_t step) {
  const nlohmann::json& process = recording.segment_of(step).process;
  for (const std::uint64_t part : parts_of(recording, {recording.first_step(), step + 1}))
    if (recording.segment_of(part).process == process) return part;
  return step;
}

// How the process that recorded `step` said it gets to an anchor.
std::string restart_of(const RunReader& recording, std::uint64_t step) {
  const nlohmann::json& process = recording.segment_of(step).process;
  const auto found = process.is_object() ? process.find("restart") : process.end();
  return found != process.end() && found->is_string() ? found->get<std::string>()
                                                      : std::string(name(protocol::Restart::jump));
}

// A program that cannot jump goes on from an anchor only where its own process cut it: what it holds in variables comes
// with it.
void start_with_the_process(Plan& plan, const RunReader& recording) {
  plan.fast_forward = restart_of(recording, plan.from) != name(protocol::Restart::start);
  plan.first_step = plan.session_first_step;
  const AnchorEntry* anchor = recording.anchor_before(plan.from);
  if (anchor == nullptr || anchor->step <= plan.session_first_step) return;
  if (!plan.fast_forward) {
    plan.start = "it compiles its model: kernels that a compiler made cannot be left out, so all is computed";
    return;
  }
  plan.anchor = *anchor;
  plan.first_step = anchor->step;
}

bool jumps(const std::string& restart, const ReplayOptions& options) {
  if (restart == name(protocol::Restart::jump)) return true;
  if (!options.jump) return false;
  if (restart == name(protocol::Restart::either)) return true;
  throw BrokenInput(
      "--jump: the recorded program has no loop over samestep.steps() with its model given to samestep.attach(), nor "
      "is "
      "it transformers.Trainer's, so "
      "nothing tells where its loop can be entered (docs/python.md). Without --jump it is led to the anchor");
}

void choose_start(Plan& plan, const RunReader& recording, const ReplayOptions& options) {
  plan.session_first_step = start_of_the_process(recording, plan.from);
  if (!jumps(restart_of(recording, plan.from), options)) return start_with_the_process(plan, recording);
  const AnchorEntry* anchor = recording.anchor_before(plan.from);
  if (anchor != nullptr && anchor->step > 0) {
    plan.anchor = *anchor;
    plan.first_step = anchor->step;
  } else if (recording.first_step() > 0) {
    plan.refusal = fmt::format("the recording begins at step {} and holds no anchor at or before step {}",
                               recording.first_step(), plan.from);
  }
}

// One command is replayed, that of the first step asked for; steps around it may be another session's.
std::string other_session(const Plan& plan, const RunReader& recording) {
  const nlohmann::json& own = session_at(recording, plan.from);
  for (const std::uint64_t step : parts_of(recording, {plan.first_step, plan.to})) {
    const nlohmann::json& session = session_at(recording, step);
    if (&session == &own) continue;
    return fmt::format(
        "the steps {} to {} were recorded in several sessions; what runs is the one of step {}, and step "
        "{} was recorded by: {}",
        plan.first_step, plan.to - 1, plan.from, step, shell_words(recorded_command(session)));
  }
  return "";
}

// A command that trains twice connects twice; the steps of its second process are not those of the first one's.
std::uint64_t end_of_the_first_process(const Plan& plan, const RunReader& recording) {
  const nlohmann::json& first = recording.segment_of(plan.first_step).process;
  for (const std::uint64_t step : parts_of(recording, {plan.first_step, plan.to}))
    if (recording.segment_of(step).process != first) return step;
  return 0;
}

bool ended_by_itself(const Plan& plan, const RunReader& recording) {
  if (plan.to != recording.end_step() || plan.session_ends != 0 || !plan.sessions.empty()) return false;
  return effective_ending(recording.manifest(), recording.segment_of(plan.to - 1)) == "closed";
}

}  // namespace

Plan without_anchor(Plan plan) {
  plan.anchor.reset();
  plan.first_step = plan.session_first_step;
  return plan;
}

Plan plan_replay(const RunReader& recording, const ReplayOptions& options) {
  Plan plan;
  plan.from = options.from.value_or(recording.first_step());
  plan.to = options.to.value_or(std::max(recording.end_step(), plan.from + 1));
  if (plan.from >= plan.to) {
    throw BrokenInput(fmt::format("no step lies in the window --from {} --to {}: --to is one past the last step",
                                  plan.from, plan.to));
  }
  cut_to_recording(plan, options, recording.first_step(), recording.end_step());
  if (plan.refusal.empty()) choose_start(plan, recording, options);
  if (!plan.refusal.empty()) return plan;
  plan.sessions = other_session(plan, recording);
  plan.session_ends = end_of_the_first_process(plan, recording);
  plan.ends_there = ended_by_itself(plan, recording);
  return plan;
}

}  // namespace samestep
