#include "replay/player/player.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>

#include "replay/player/anchor_bytes.h"
#include "replay/player/command.h"
#include "replay/player/folder.h"
#include "replay/player/judge.h"
#include "replay/player/plan.h"
#include "replay/player/present.h"
#include "replay/player/refusals.h"
#include "replay/player/replay_view.h"
#include "replay/player/saved_run.h"
#include "replay/player/sessions.h"
#include "replay/player/tensor_files.h"
#include "replay/recorder/server.h"
#include "replay/run/error.h"
#include "replay/run/run_files.h"
#include "replay/run/run_reader.h"
#include "replay/view/storage.h"

namespace samestep {
namespace {

constexpr std::size_t shown_lines = 6;  // of a program that failed

// What stays the same over the replays of one call.
struct Stage {
  const ReplayOptions& options;
  const RunReader& recording;
  const Command& command;
  const ReplayView* view;  // nullptr: in place
  std::filesystem::path folder;
  const HeldAnchor* anchor = nullptr;  // of the plan; nullptr: from the start
  ReplayAnswer& answer;                // where the passes are counted
};

bool pinned(const ReplayOptions& options, Lane lane) {
  return std::ranges::find(options.pins, lane) != options.pins.end();
}

// There the recording read what stands outside the root: the same is read again, and compared.
std::vector<std::uint64_t> steps_before_anchors(const RunReader& recording) {
  std::vector<std::uint64_t> steps;
  for (const AnchorEntry& anchor : recording.manifest().anchors)
    if (anchor.rank == recording.rank() && anchor.step > 0) steps.push_back(anchor.step - 1);
  std::ranges::sort(steps);
  if (steps.size() > protocol::max_read_steps) steps.resize(protocol::max_read_steps);
  return steps;
}

// On the way to an anchor nothing takes longer than it took the recording, but for a program that waits for a number
// which nothing computes there.
std::chrono::nanoseconds patience_on_the_way(const RunReader& recording, const Plan& plan) {
  constexpr std::chrono::nanoseconds least = std::chrono::minutes(1), most = std::chrono::hours(24);
  const std::chrono::nanoseconds took{recording.record(plan.first_step).timing.began_ns -
                                      recording.segment_of(plan.session_first_step).began_ns};
  return least + std::clamp(took, std::chrono::nanoseconds(0), most);
}

WatchOptions watch_options(const Stage& stage, std::optional<std::uint64_t> dump_step, const std::string& suffix) {
  WatchOptions options;
  options.keep_going = stage.options.keep_going;
  options.dump_step = dump_step;
  options.folder = stage.folder;
  options.dump_suffix = suffix;
  options.rank = stage.options.rank;
  options.progress = stage.options.progress;
  options.pin_hyper = pinned(stage.options, Lane::hyper);
  options.pin_rng = pinned(stage.options, Lane::rng);
  options.read_steps = steps_before_anchors(stage.recording);
  return options;
}

// Started anew in the view: a second replay finds the folders as the first one did.
Ending launch_in_view(const Stage& stage, Launch start, Server& server, bool keeps_output) {
  start.enclosure = stage.view->view.get();
  Ending ending = launch(start, server);
  if (keeps_output) stage.view->view->keep_output(*stage.options.keep_output);
  return ending;
}

// Asked while what it wrote is still there.
void look_for_room(ReplayAnswer& answer, const Stage& stage, const Launch& started, const Ending& ending) {
  const std::filesystem::path disk = stage.view == nullptr ? started.cwd : stage.view->view->storage();
  if (ending.exit_code() != 0 && is_full(disk)) answer.full_disk = disk;
}

void count(ReplayAnswer& answer, const Pass& pass) {
  if (pass.ending.asked_to_stop != 0) answer.asked_to_stop = pass.ending.asked_to_stop;
  if (!pass.ending.stopped.empty()) answer.passed_limit = true;
  answer.steps_run += pass.findings.steps.chains().size();
}

Pass run_pass(const Stage& stage, const Plan& plan, const HeldAnchor* held, WatchOptions options) {
  Descriptor anchor;
  if (held != nullptr) anchor = verified_anchor(stage.recording, *held);
  const auto output = stage.folder / fmt::format("output{}.txt", options.dump_suffix);
  const bool keeps_output = stage.options.keep_output && options.dump_suffix.empty();
  if (plan.anchor && plan.fast_forward) options.patience = patience_on_the_way(stage.recording, plan);
  Watch watch(stage.recording, plan, std::move(anchor), std::move(options));
  Server server(watch);
  if (stage.command.gives_seeds)
    give_seeds(stage.command.seeds, server.socket_path(), stage.command.seeds_by_arguments);
  Launch start = stage.command.launch;
  start.output = output;
  start.limits = stage.options.limits;
  if (!stage.options.keep_output) start.is_over = [&watch] { return watch.is_over(); };
  Refusals refusals;
  const auto listener = listen_for_refusals(start, server.socket_path(), refusals);
  Ending ending = stage.view == nullptr ? launch(start, server) : launch_in_view(stage, start, server, keeps_output);
  look_for_room(stage.answer, stage, start, ending);
  if (listener) listener->finish();
  stage.options.progress("");
  Pass pass{watch.take_findings(), std::move(ending), last_lines(output, shown_lines),
            asked_seeds(server.socket_path())};
  count(stage.answer, pass);
  if (stage.view != nullptr) pass.refused = all_refused(refusals.paths(), output);
  if (!pass.findings.tampered.empty()) throw TamperedInput(pass.findings.tampered);
  for (const std::string& failure : server.failures()) {
    if (pass.findings.broken.empty()) pass.findings.broken = failure;
  }
  return pass;
}

bool is_untestable(const Pass& pass) {
  return pass.ending.kind == Ending::Kind::not_started || (!pass.findings.connected && pass.ending.exit_code() != 0);
}

// Inputs equal, result not, in a lane that the program computes.
bool is_computed(Lane lane) {
  return lane == Lane::loss || lane == Lane::gradients || lane == Lane::optimizer || lane == Lane::weights_out;
}

// The window after the next anchor, where one stands behind the divergence.
std::optional<Plan> plan_after(const Stage& stage, std::uint64_t step) {
  constexpr std::uint64_t enough = 4;
  for (const AnchorEntry& anchor : stage.recording.manifest().anchors) {
    if (anchor.step <= step || anchor.step >= stage.recording.end_step()) continue;
    if (!stage.recording.is_in_line(anchor)) continue;
    Plan plan;
    plan.from = plan.first_step = anchor.step;
    plan.to = std::min(stage.recording.end_step(), anchor.step + enough);
    plan.anchor = anchor;
    return plan;
  }
  return std::nullopt;
}

// Equal code on equal inputs gave the same bits twice, and other bits than recorded: was it the recorded step alone?
void probe_after(Verdict& verdict, const Stage& stage, const std::vector<EnvironmentDifference>& differences) {
  if (verdict.outcome != Outcome::diverged || !verdict.lane || !is_computed(*verdict.lane)) return;
  // What reads a variable of which the name alone is known, nobody knows.
  const auto is_known = [](const EnvironmentDifference& found) {
    return found.kind != EnvironmentDifference::Kind::set;
  };
  if (std::ranges::any_of(differences, is_known)) return;
  if (verdict.cause == Cause::structure || stage.answer.asked_to_stop != 0) return;
  const auto after = plan_after(stage, *verdict.step);
  if (after && is_still_named(stage.recording, *after->anchor)) {
    const HeldAnchor held = hold_anchor(stage.recording, *after->anchor);
    stage.options.say(fmt::format("nothing around the run has changed; replaying steps {} to {} as well", after->from,
                                  after->to - 1));
    const Pass pass = run_pass(stage, *after, &held, watch_options(stage, std::nullopt, "-after"));
    if (judge(stage.recording, *after, pass).outcome == Outcome::same) return call_one_off(verdict, *after);
  }
  if (differences.empty())
    verdict.limits.push_back(
        "that the recorded step was right: nothing recorded around the run has changed, so a fault of "
        "the recording machine at this step looks the same");
}

void say(Verdict& verdict, std::string sentence) {
  if (!sentence.empty()) verdict.evidence.push_back(std::move(sentence));
}

// Numbers where both sides' tensors are at hand: two replays' dumps, or a dump and the anchor cut after the step.
void compare_tensors(Verdict& verdict, const Stage& stage, const Pass& first, const Pass& second) {
  if (first.findings.dumps.empty()) return;
  const auto& dump = first.findings.dumps.front();
  const Difference& difference = *first.findings.difference;
  if (!second.findings.dumps.empty()) {
    const std::string text =
        tensor_difference(dump, second.findings.dumps.front(), tensor_label(difference.lane, difference.tensor));
    if (!text.empty()) say(verdict, "between the two replays, " + text);
  }
  for (const AnchorEntry& anchor : stage.recording.manifest().anchors) {
    if (anchor.step != difference.step + 1 || !stage.recording.is_in_line(anchor)) continue;
    if (!is_still_named(stage.recording, anchor)) continue;
    const std::string text = tensor_difference(run_file(stage.recording.path(), anchor.file), dump, "");
    if (!text.empty()) say(verdict, fmt::format("between the anchor at step {} and the replay, {}", anchor.step, text));
  }
}

void replay_again(Verdict& verdict, const Stage& stage, const Plan& plan, const Pass& first) {
  const std::uint64_t step = first.findings.difference->step;
  stage.options.say(fmt::format("parted at step {} ({}); replaying the same window once more before it is called", step,
                                name(first.findings.difference->lane)));
  WatchOptions options = watch_options(stage, step, "-again");
  options.keep_going = false;
  const Pass second = run_pass(stage, plan, stage.anchor, std::move(options));
  confirm(verdict, plan, first, second);
  compare_tensors(verdict, stage, first, second);
}

void announce(const Stage& stage, const Plan& plan, const Present& present) {
  const auto& say = stage.options.say;
  const std::string folder = stage.command.launch.cwd.empty() ? "." : stage.command.launch.cwd.string();
  say(fmt::format("replaying {} in {}", shell_words(stage.command.launch.argv), folder));
  for (const std::string& remark : stage.command.remarks) say(remark);
  if (stage.view != nullptr)
    for (const std::string& remark : stage.view->remarks) say(remark);
  if (!plan.sessions.empty()) say(plan.sessions);
  if (!plan.start.empty()) say(plan.start);
  if (!stage.options.another_revision)
    for (const std::string& change : present.changes()) say("changed since the recording: " + change);
  say(fmt::format("steps {} to {}, from {}; output in {}", plan.from, plan.to - 1,
                  plan.anchor ? fmt::format("the anchor at step {}", plan.anchor->step) : "the start",
                  (stage.folder / "output.txt").string()));
}

void add_view_words(std::vector<std::string>& words, const ReplayOptions& options) {
  if (options.in_place) words.emplace_back("--in-place");
  if (options.network) words.emplace_back("--network");
  for (const auto& folder : options.view) words.insert(words.end(), {"--view", folder.string()});
  for (const auto& path : options.show) words.insert(words.end(), {"--show", path.string()});
}

std::string reproduce(const ReplayOptions& options, const Plan& plan, const Verdict& verdict) {
  std::vector<std::string> words{"samestep", "replay", options.run.string()};
  const std::uint64_t from = verdict.step && *verdict.step < plan.to ? *verdict.step : plan.from;
  const std::uint64_t to = verdict.step && *verdict.step < plan.to ? *verdict.step + 1 : plan.to;
  words.insert(words.end(), {"--from", std::to_string(from), "--to", std::to_string(to)});
  for (const auto& [name, value] : options.set) words.insert(words.end(), {"--set", name + "=" + value});
  if (options.cwd) words.insert(words.end(), {"--cwd", options.cwd->string()});
  if (options.rank != 0) words.insert(words.end(), {"--rank", std::to_string(options.rank)});
  if (options.ignore_environment) words.emplace_back("--ignore-environment");
  if (options.jump) words.emplace_back("--jump");
  for (const Lane lane : options.pins) words.insert(words.end(), {"--pin", std::string(name(lane))});
  add_view_words(words, options);
  if (!options.command.empty()) words.emplace_back("--");
  words.insert(words.end(), options.command.begin(), options.command.end());
  return shell_words(words);
}

// Updates that no step holds: whether they are as they were, no step can tell.
void tell_of_what_was_not_recorded(Verdict& verdict, const Manifest& manifest) {
  const auto of_others = [](const Event& event) { return event.kind == "other_thread"; };
  const auto found = std::ranges::find_if(manifest.events, of_others);
  if (verdict.outcome != Outcome::same || found == manifest.events.end()) return;
  verdict.limits.push_back("the training that was not recorded. " + found->text);
}

void write_verdict(const std::filesystem::path& folder, const Verdict& verdict) {
  std::ofstream(folder / "verdict.json") << to_json(verdict).dump(2, ' ', false,
                                                                  nlohmann::json::error_handler_t::replace)
                                         << '\n';
}

std::optional<SavedRun> saved_run(const Stage& stage, const Plan& plan, const Present& present) {
  if (!stage.options.save) return std::nullopt;
  const bool has_before = plan.first_step > stage.recording.first_step();
  return std::make_optional<SavedRun>(stage.folder, present.what(), stage.options.rank, plan.first_step,
                                      has_before ? stage.recording.chain(plan.first_step - 1) : Digest{});
}

// Of the session that recorded the step in question; where all is the same, of all that recorded an asked one.
std::vector<EnvironmentDifference> differences_around(const Verdict& verdict, const Stage& stage, const Plan& plan,
                                                      const Surroundings& now) {
  std::vector<EnvironmentDifference> found;
  std::vector<std::uint64_t> steps{step_in_question(verdict, {plan.first_step, plan.to})};
  if (verdict.outcome == Outcome::same) steps = parts_of(stage.recording, {plan.from, plan.to});
  for (const std::uint64_t step : steps) {
    add_differences(found, environment_differences(surroundings_at(stage.recording, step), now));
  }
  return found;
}

// A script that was brought to an anchor without computing keeps what no anchor holds as it happens to be: where it
// parts, the same window is computed from the start before anything is called.
std::optional<std::string> why_not_forward(const Plan& plan, const Pass& pass, bool led_counts) {
  if (!plan.anchor || !plan.fast_forward) return std::nullopt;
  if (pass.findings.difference) {
    const Difference& difference = *pass.findings.difference;
    if (led_counts && difference.step >= plan.first_step) return std::nullopt;
    return fmt::format("brought to the anchor at step {} without computing, the program parted at step {} in {}",
                       plan.anchor->step, difference.step, name(difference.lane));
  }
  for (const protocol::Notice& notice : pass.findings.notices)
    if (notice.kind == "restore_failed") return "the program could not be brought to the anchor: " + notice.text;
  if (pass.findings.goes_on)
    return fmt::format("brought to the anchor at step {} without computing, the program trained on after step {}",
                       plan.anchor->step, plan.to - 1);
  const std::uint64_t next = pass.findings.steps.next();
  if (pass.findings.connected && next <= plan.first_step)
    return fmt::format("the program {} before it came to the anchor at step {}", pass.ending.text(), plan.anchor->step);
  if (pass.findings.connected && next < plan.to)
    return fmt::format("brought to the anchor at step {} without computing, the program {} before step {}",
                       plan.anchor->step, pass.ending.text(), next);
  return std::nullopt;
}

// On the way to an anchor a script writes files of no content, and it may have to begin anew: neither where somebody
// keeps what it writes.
void compute_what_is_kept(Plan& plan, const ReplayOptions& options, bool in_a_view) {
  if (options.computed) {
    plan = without_anchor(std::move(plan));
    return;
  }
  if (in_a_view && !options.save && !options.keep_output) return;
  plan = without_anchor(std::move(plan));
  plan.start =
      "all is computed from the start: brought to an anchor without computing, a script writes files of no content";
}

// What was given can be the very thing that parts.
void tell_of_pins(Verdict& verdict, const Stage& stage, const Plan& plan) {
  if (!pinned(stage.options, Lane::rng)) return;
  if (!plan.anchor)
    say(verdict,
        "--pin rng was of no use: all is computed from the start, and the generators of an anchor are put in at one");
  else if (verdict.outcome == Outcome::diverged)
    say(verdict,
        fmt::format(
            "--pin rng put the generators of the anchor back at the first forward pass of step {}: what the program "
            "draws between the anchor and that (a loader's order) is drawn twice, and can differ by that alone",
            plan.first_step));
}

// Nothing is called on one replay.
void leave_unconfirmed(Verdict& verdict) {
  verdict.outcome = Outcome::incomparable;
  verdict.limits.emplace_back("whether it repeats: the replay was stopped by a signal");
}

// What differs around the run, and whether that explains it.
void weigh(Verdict& verdict, const Stage& stage, const Plan& plan, Present& present, const Findings& findings) {
  const bool another = stage.options.another_revision, whole = !another || stage.options.look_around;
  const auto& differences = stage.answer.differences =
      differences_around(verdict, stage, plan,
                         whole ? present.surroundings(findings) : Surroundings{present.what(), findings.environment});
  if (!another) probe_after(verdict, stage, differences);
  weigh_environment(verdict, differences, stage.options.ignore_environment);
}

void play(const Stage& stage, const Plan& plan);

// What the program printed until then is evidence too.
void put_output_aside(const std::filesystem::path& folder) {
  std::error_code error;  // without a file there is nothing to keep
  std::filesystem::rename(folder / "output.txt", folder / "output-forwarded.txt", error);
}

void play_from_the_start(Stage stage, const Plan& plan, const std::string& why) {
  stage.options.say(why + "; computing the window from the start");
  put_output_aside(stage.folder);
  stage.anchor = nullptr;
  play(stage, without_anchor(plan));
  Verdict& verdict = stage.answer.verdict;
  verdict.evidence.push_back(
      why +
      (verdict.outcome == Outcome::same ? ": something that the anchor does not hold depends on the weights. " : ". ") +
      "This answer is of a replay from the start");
}

void play(const Stage& stage, const Plan& plan) {
  Present present(session_at(stage.recording, plan.from), stage.command, stage.options.another_revision);
  announce(stage, plan, present);
  std::optional<SavedRun> saved = saved_run(stage, plan, present);
  WatchOptions options = watch_options(stage, std::nullopt, "");
  options.saved = saved ? &*saved : nullptr;
  const Pass first = run_pass(stage, plan, stage.anchor, std::move(options));
  if (saved) saved->end("lost");  // where the session's end has not closed it
  if (stage.answer.asked_to_stop == 0)
    if (const auto why = why_not_forward(plan, first, stage.options.led_counts))
      return play_from_the_start(stage, plan, *why);
  if (!first.findings.steps.chains().empty()) stage.answer.chain = first.findings.steps.chains().back();
  Verdict& verdict = stage.answer.verdict = judge(stage.recording, plan, first);
  stage.answer.untestable = is_untestable(first);
  if (plan.anchor) stage.answer.anchor = plan.anchor->step;
  if (!stage.answer.full_disk.empty())
    say(verdict, fmt::format("the program failed, and the disk of {} is full: make room and replay again",
                             stage.answer.full_disk.string()));
  for (std::string& sentence : other_seeds(stage.command.seeds, first.seeds)) say(verdict, std::move(sentence));
  tell_of_pins(verdict, stage, plan);
  const bool again = stage.answer.asked_to_stop == 0 && !stage.options.called_once;
  if (first.findings.difference && again) replay_again(verdict, stage, plan, first);
  if (first.findings.difference && stage.answer.asked_to_stop != 0) leave_unconfirmed(verdict);
  if (first.findings.connected) weigh(verdict, stage, plan, present, first.findings);
  for (const auto& dump : first.findings.dumps) {
    verdict.evidence.push_back("the replay's tensors of that step: " + dump.string());
  }
  if (stage.view != nullptr) name_refused_writes(verdict, first.refused);
  if (stage.view != nullptr && !plan.anchor) name_restored(verdict, *stage.view, plan.first_step);
  tell_of_what_was_not_recorded(verdict, stage.recording.manifest());
  verdict.reproduce = reproduce(stage.options, plan, verdict);
  write_verdict(stage.folder, verdict);
}

// False where the view could not be prepared: the answer says why.
bool is_prepared(ReplayAnswer& answer, const ReplayOptions& options, const std::optional<ReplayView>& view) {
  if (!options.prepare || !view) return true;
  std::string why = options.prepare(*view->view);
  if (why.empty()) return true;
  answer.untestable = true;
  answer.verdict.evidence.push_back(std::move(why));
  return false;
}

}  // namespace

ReplayAnswer replay(const ReplayOptions& options) {
  RunReader recording(options.run, options.rank);
  Plan plan;
  std::optional<HeldAnchor> anchor;
  with_named_anchors(recording, [&] {
    plan = plan_replay(recording, options);
    anchor.reset();
    if (plan.anchor) anchor = hold_anchor(recording, *plan.anchor);
    check_run(recording);
  });
  ReplayAnswer answer;
  if (!plan.refusal.empty()) {
    answer.verdict.evidence.push_back(plan.refusal);
    return answer;
  }
  Command command = command_for(session_at(recording, plan.from), options);
  command.seeds_by_arguments = !command.seeds.empty() && command_has_changed(session_at(recording, plan.from));
  const std::optional<ReplayView> view = view_for(options, command, session_at(recording, plan.from));
  if (plan.fast_forward && plan.anchor) compute_what_is_kept(plan, options, view.has_value());
  make_output_folder(options);
  if (!is_prepared(answer, options, view)) return answer;
  answer.folder = make_replay_folder(options);
  play({options, recording, command, view ? &*view : nullptr, answer.folder, plan.anchor ? &*anchor : nullptr, answer},
       plan);
  return answer;
}

int exit_code(const ReplayAnswer& answer) {
  return answer.untestable ? exit_untestable : exit_code(answer.verdict.outcome);
}

}  // namespace samestep
