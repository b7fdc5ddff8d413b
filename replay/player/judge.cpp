#include "replay/player/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "replay/compare/diff.h"

namespace samestep {
namespace {

void say(Verdict& verdict, std::string sentence) {
  if (!sentence.empty()) verdict.evidence.push_back(std::move(sentence));
}

void show_output(Verdict& verdict, const Pass& pass) {
  for (const std::string& line : pass.output) say(verdict, "its output ended: " + line);
}

Verdict never_connected(const Pass& pass) {
  Verdict verdict;
  say(verdict, fmt::format("no session connected, so nothing was compared: the program {}", pass.ending.text()));
  if (pass.ending.kind == Ending::Kind::exited && pass.ending.value == 0) {
    say(verdict,
        "is it the recorded program, and does it train: with a samestep::Session, or with PyTorch in a Python that has "
        "the package samestep (and, where the recording began at samestep.record(), with that call)?");
  }
  show_output(verdict, pass);
  return verdict;
}

bool ended_by_itself(const Pass& pass) {
  const auto& end = pass.findings.end;
  return end && end->said_bye && end->how == "closed" && pass.ending.kind == Ending::Kind::exited &&
         pass.ending.value == 0;
}

std::string session_end(const Pass& pass) {
  const std::string how = pass.findings.end ? pass.findings.end->how : "lost";
  return how == pass.ending.text() ? how : fmt::format("{}; the program {}", how, pass.ending.text());
}

void say_notices(Verdict& verdict, const Findings& findings) {
  constexpr std::size_t enough = 5;
  for (std::size_t i = 0; i < std::min(enough, findings.notices.size()); ++i) {
    say(verdict, fmt::format("during the replay, {}: {}", findings.notices[i].kind, findings.notices[i].text));
  }
}

// A replay that entered the loop computed other bits at once, on equal inputs: what the loop keeps is not all named.
void advise_state(Verdict& verdict, const Plan& plan, const Difference& difference) {
  const bool computed = difference.lane == Lane::loss || difference.lane == Lane::gradients;
  if (!plan.anchor || plan.fast_forward || difference.step != plan.first_step || !computed) return;
  say(verdict,
      "the program was entered at the anchor: does its loop keep a variable, or a generator of its own, that "
      "session.keep(...), in Python samestep.state(...), does not name?");
}

// A lane that starts over right at the anchor was not restored by it.
void advise_keep(Verdict& verdict, const Plan& plan, const Difference& difference) {
  const bool at_once = difference.step == plan.first_step;
  if (!plan.anchor || (!at_once && difference.lane != Lane::hyper)) return;
  if (difference.lane == Lane::batch) {
    say(verdict,
        fmt::format("it parts at the first step after the anchor of step {} with equal weights and generators: "
                    "the data's position was not restored. Add session.keep(\"cursor\", ...), in Python "
                    "samestep.state(\"cursor\", "
                    "get, set), to the program, record again, and the anchors will hold it",
                    plan.anchor->step));
  } else if (difference.lane == Lane::hyper) {
    say(verdict,
        "a schedule sets it? Its state must be kept for a start from an anchor: session.keep(\"schedule\", ...), in "
        "Python samestep.state(\"schedule\", get, set)");
  } else if (difference.lane == Lane::weights_in || difference.lane == Lane::rng) {
    say(verdict,
        fmt::format("it parts at the first step after the anchor of step {}: the program does not take up {} as "
                    "the anchor holds it",
                    plan.anchor->step, name(difference.lane)));
  }
}

// On the way to an anchor nothing was computed, so nothing is called.
void leave_open(Verdict& verdict, const Difference& difference) {
  say(verdict, fmt::format("on the way to the anchor it parted at step {} in {}; whether the program does is not known "
                           "before the window is computed from the start",
                           difference.step, name(difference.lane)));
}

void judge_divergence(Verdict& verdict, const StepSource& recording, const Plan& plan, const Pass& pass) {
  const Difference& difference = *pass.findings.difference;
  if (difference.step < plan.first_step) return leave_open(verdict, difference);
  verdict.outcome = Outcome::diverged;
  if (difference.step > plan.first_step) verdict.last_same_step = difference.step - 1;
  explain(verdict, difference, {recording, "the recording"}, {pass.findings.steps, "the replay"});
  if (difference.step < plan.from) {
    say(verdict, fmt::format("it parted in the warm-up, before the asked window: run from {}",
                             plan.anchor ? fmt::format("the anchor at step {}", plan.first_step) : "the start"));
  }
  advise_keep(verdict, plan, difference);
  advise_state(verdict, plan, difference);
  if (pass.findings.differing > 1) {
    say(verdict, fmt::format("{} of the steps compared differ", pass.findings.differing));
  }
}

// An end that is not the program's doing.
std::string why_it_could_not_go_on(const Plan& plan, const Pass& pass, std::uint64_t next) {
  const auto refused = [](const protocol::Notice& notice) { return notice.kind == "restore_failed"; };
  if (std::ranges::any_of(pass.findings.notices, refused)) return "the program could not start from the anchor";
  if (plan.session_ends != 0 && next == plan.session_ends)
    return fmt::format("step {} on was recorded by another process that the command started; a replay follows one",
                       next);
  return "";
}

void judge_end(Verdict& verdict, const Plan& plan, const Pass& pass) {
  const std::uint64_t next = std::max(pass.findings.steps.next(), plan.first_step);
  if (pass.findings.goes_on) {
    verdict.outcome = Outcome::diverged;
    verdict.cause = Cause::ended;
    verdict.step = plan.to;
    verdict.last_same_step = plan.to - 1;
    return say(verdict, fmt::format("the recorded program ended by itself after step {}; the replayed one trains on",
                                    plan.to - 1));
  }
  if (next >= plan.to) {
    verdict.outcome = plan.whole ? Outcome::same : Outcome::incomparable;
    verdict.last_same_step = plan.to - 1;
    if (!plan.whole) say(verdict, "all recorded steps of the window are equal; the others cannot be called the same");
    return;
  }
  if (next > plan.first_step) verdict.last_same_step = next - 1;
  say(verdict,
      fmt::format("the replay ended before step {} of {} to {}: {}", next, plan.from, plan.to - 1, session_end(pass)));
  if (const std::string why = why_it_could_not_go_on(plan, pass, next); !why.empty()) {
    say(verdict, why);
  } else if (ended_by_itself(pass)) {
    verdict.outcome = Outcome::diverged;
    verdict.cause = Cause::ended;
    verdict.step = next;
  } else {
    show_output(verdict, pass);
  }
}

void say_window(Verdict& verdict, const Plan& plan, const Findings& findings) {
  say(verdict, plan.remark);
  say(verdict, plan.sessions);
  say(verdict, plan.start);
  if (plan.anchor) {
    say(verdict,
        fmt::format(
            "started from the anchor at step {}{}{}", plan.anchor->step,
            findings.forwarded == 0 ? ""
                                    : fmt::format(", to which {} steps led without being computed", findings.forwarded),
            findings.warm_up == 0 ? "" : fmt::format("; {} warm-up steps were compared as well", findings.warm_up)));
  }
}

}  // namespace

Verdict judge(const StepSource& recording, const Plan& plan, const Pass& pass) {
  if (!pass.findings.connected) return never_connected(pass);
  Verdict verdict;
  verdict.lanes = pass.findings.lanes;
  verdict.steps_compared = pass.findings.compared;
  if (pass.findings.difference) {
    if (verdict.steps_compared == 0) verdict.steps_compared = pass.findings.warm_up;
    judge_divergence(verdict, recording, plan, pass);
  } else if (!pass.findings.broken.empty()) {
    say(verdict, "the program sent what cannot be compared: " + pass.findings.broken);
  } else {
    judge_end(verdict, plan, pass);
    if (verdict.outcome == Outcome::same && !any_lane_compared(verdict.lanes)) {
      verdict.outcome = Outcome::incomparable;
      say(verdict, "no lane was captured on both sides");
    }
  }
  say(verdict, missing_batch(verdict.lanes, "the recording", "the replay"));
  say_window(verdict, plan, pass.findings);
  say_notices(verdict, pass.findings);
  verdict.limits = lane_limits(verdict.lanes);
  if (verdict.outcome == Outcome::same && plan.ends_there && !(pass.findings.end && pass.findings.end->said_bye))
    verdict.limits.push_back(
        fmt::format("that no step follows on step {}: the program was still busy when it was ended", plan.to - 1));
  return verdict;
}

namespace {

// The first step whose chains differ between two replays; nullopt where all that both have agree.
std::optional<std::uint64_t> first_disagreement(const Plan& plan, const Findings& a, const Findings& b) {
  const auto& x = a.steps.chains();
  const auto& y = b.steps.chains();
  const auto found = std::mismatch(x.begin(), x.end(), y.begin(), y.end());
  if (found.first == x.end() || found.second == y.end()) return std::nullopt;
  return plan.first_step + static_cast<std::uint64_t>(found.first - x.begin());
}

void insert_first(Verdict& verdict, std::string sentence) {
  verdict.evidence.insert(verdict.evidence.begin(), std::move(sentence));
}

std::string parting_of(const Findings& findings) {
  const Difference& difference = *findings.difference;
  return fmt::format("at step {}, {}{}{}", difference.step, name(difference.lane), difference.tensor.empty() ? "" : " ",
                     difference.tensor);
}

}  // namespace

void confirm(Verdict& verdict, const Plan& plan, const Pass& first, const Pass& second) {
  const std::uint64_t step = first.findings.difference->step;
  const std::uint64_t reached = second.findings.steps.next();
  const auto disagreement = first_disagreement(plan, first.findings, second.findings);
  if (!disagreement && reached > step) {
    say(verdict, "a second replay of the same window gave the same bits as the first");
    return;
  }
  if (!disagreement) {
    verdict.limits.push_back(
        fmt::format("whether it repeats: a second replay ended before step {} ({})", step, session_end(second)));
    verdict.outcome = Outcome::incomparable;
    return;
  }
  verdict.outcome = Outcome::flaky;
  verdict.cause = Cause::nondeterministic;
  if (!second.findings.difference && reached < plan.to) {
    insert_first(verdict, fmt::format("a second replay of the same window gave the recorded bits at step {}, so those "
                                      "of the first do not repeat; it ended before step {} of {} to {} ({})",
                                      step, reached, plan.from, plan.to - 1, session_end(second)));
    verdict.limits.push_back(
        fmt::format("that only step {} was corrupted: the second replay did not come to the window's end", step));
  } else if (!second.findings.difference) {
    insert_first(verdict,
                 fmt::format("one-off: a second replay of the same window gave the recorded bits at every step; "
                             "step {} was corrupted once and did not come back (faulty hardware?)",
                             step));
  } else {
    insert_first(verdict,
                 fmt::format("two replays of the same window differ from each other at step {}: the first parts "
                             "from the recording {}, the second {}",
                             *disagreement, parting_of(first.findings), parting_of(second.findings)));
  }
}

void call_one_off(Verdict& verdict, const Plan& after) {
  verdict.outcome = Outcome::flaky;
  verdict.cause = Cause::nondeterministic;
  insert_first(verdict,
               fmt::format("one-off: two replays agree with each other and not with the recording at this step, "
                           "nothing around the run has changed, and from the anchor at step {} on the program "
                           "does what was recorded: this one recorded step was corrupted, or something acted "
                           "on it that left no trace",
                           after.first_step));
}

}  // namespace samestep
