#include "replay/resume/resume_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "replay/player/anchor_bytes.h"
#include "replay/player/command.h"
#include "replay/player/folder.h"
#include "replay/player/replay_view.h"
#include "replay/player/sessions.h"
#include "replay/recorder/run_directory.h"
#include "replay/resume/anchors.h"
#include "replay/resume/judge.h"
#include "replay/resume/sample.h"
#include "replay/resume/workplace.h"
#include "replay/view/storage.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t shown_lines = 6;  // of a program that failed

// A command that a shell would only split at its spaces is started without one.
std::vector<std::string> words_of(const std::string& command) {
  const std::string plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+:,./- ";
  if (command.find_first_not_of(plain) != std::string::npos) return {"/bin/sh", "-c", command};
  std::istringstream text(command);
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

// Recordings, what the commands print, copies of the folder: kept where that is asked for.
class CheckFolder {
 public:
  explicit CheckFolder(const fs::path& keep) : keeps_(!keep.empty()) {
    if (keeps_) {
      make_named_run(keep);
      path_ = fs::absolute(keep).lexically_normal();
      return;
    }
    std::string name = (fs::temp_directory_path() / "samestep-resume-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw BrokenInput(fmt::format("Making a folder {} failed.", name));
    path_ = name;
  }
  ~CheckFolder() {
    if (!keeps_) remove_tree(path_);
  }
  CheckFolder(const CheckFolder&) = delete;
  CheckFolder& operator=(const CheckFolder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  bool keeps_;
  fs::path path_;
};

// "exited with code 3", "was killed by signal 9": behind a name.
std::string how_it_ended(const Sample& sample) {
  return sample.ending.kind == Ending::Kind::exited ? sample.ending.text() : "was " + sample.ending.text();
}

std::string last_step_words(const StepSource& run) {
  return run.end_step() == run.first_step() ? "no step" : fmt::format("its last step was {}", run.end_step() - 1);
}

class Check {
 public:
  explicit Check(const ResumeOptions& options)
      : options_(options), folder_(options.keep), fresh_(options, false, folder_.path() / "files") {}

  ResumeAnswer run() {
    if (!run_uninterrupted()) return finished();
    if (options_.resume.empty()) return anchors_alone();
    Workplace interrupted(options_, true, folder_.path() / "files-interrupted");
    if (run_killed(interrupted) && run_resumed(interrupted)) judge();
    return finished();
  }

 private:
  bool run_uninterrupted();
  bool run_killed(Workplace& place);
  bool run_resumed(Workplace& place);
  ResumeAnswer anchors_alone();
  ResumeAnswer finished();

  void judge();
  void judge_taken_up();
  void confirm();
  void join_surroundings();
  void say_what_was_done();
  void say_how_it_broke_off();
  [[nodiscard]] std::string resume_ended() const;

  [[nodiscard]] Sample record(const SampleOptions& what, Workplace& place);
  bool give_up(const std::string& why, const Sample* shown = nullptr);
  void say(std::string sentence) { answer_.verdict.evidence.push_back(std::move(sentence)); }
  [[nodiscard]] std::string reproduce() const;

  const ResumeOptions& options_;
  CheckFolder folder_;
  Workplace fresh_;
  Sample whole_, killed_, resumed_;
  TakeUp taken_;
  std::vector<fs::path> refused_;
  ResumeAnswer answer_;
};

Sample Check::record(const SampleOptions& what, Workplace& place) {
  options_.say(fmt::format("{} run: {}; output in {}", what.name, shell_words(what.argv),
                           (folder_.path() / (what.name + ".txt")).string()));
  Sample sample = record_sample(options_, what, place, folder_.path());
  for (const fs::path& path : sample.refused)
    if (std::ranges::find(refused_, path) == refused_.end()) refused_.push_back(path);
  return sample;
}

// The check ends here, `incomparable`, with the last lines of what a command printed.
bool Check::give_up(const std::string& why, const Sample* shown) {
  answer_.verdict.outcome = Outcome::incomparable;
  say(why);
  if (shown == nullptr) return false;
  answer_.untestable = shown->ending.kind == Ending::Kind::not_started;
  for (const std::string& line : last_lines(shown->output, shown_lines)) say("its output ended: " + line);
  return false;
}

bool ended_well(const Sample& sample, bool was_stopped) {
  if (sample.ending.kind != Ending::Kind::exited) return false;
  return was_stopped || sample.ending.value == 0;
}

bool Check::run_uninterrupted() {
  SampleOptions what{.name = "uninterrupted", .argv = options_.argv, .stop_after = options_.steps};
  if (options_.resume.empty()) what.anchor_every = options_.at + 1;
  whole_ = record(what, fresh_);
  if (!whole_.has_steps())
    return give_up(fmt::format("the uninterrupted run recorded no step: the program {}", how_it_ended(whole_)),
                   &whole_);
  const RunReader run(whole_.run);
  if (!ended_well(whole_, run.end_step() == options_.steps))
    return give_up(fmt::format("the uninterrupted run did not end well: the program {}; {}", how_it_ended(whole_),
                               last_step_words(run)),
                   &whole_);
  if (run.end_step() < options_.at + 2)
    return give_up(fmt::format("there is nothing to resume after step {}: the uninterrupted run has {} steps, and {}",
                               options_.at, run.end_step() - run.first_step(), last_step_words(run)));
  return true;
}

ResumeAnswer Check::anchors_alone() {
  answer_ = check_anchor(options_, whole_.run, folder_.path());
  return finished();
}

bool Check::run_killed(Workplace& place) {
  killed_ = record({.name = "killed", .argv = options_.argv, .kill_after = options_.at, .repeats = &whole_}, place);
  if (!killed_.has_steps())
    return give_up(
        fmt::format("the program, run once more to be killed, recorded no step: it {}", how_it_ended(killed_)),
        &killed_);
  const RunReader whole(whole_.run), killed(killed_.run);
  answer_.killed_at = killed.end_step() - 1;
  Verdict repetition = judge_repetition(whole, killed, "the killed run");
  if (repetition.outcome != Outcome::same) {
    answer_.verdict = std::move(repetition);
    return false;
  }
  answer_.twice_to = std::min(whole.end_step(), killed.end_step()) - 1;
  if (*answer_.killed_at > options_.at) return true;
  return give_up(fmt::format("the program could not be killed after step {}: run once more, it {}, and {}", options_.at,
                             how_it_ended(killed_), last_step_words(killed)),
                 &killed_);
}

bool Check::run_resumed(Workplace& place) {
  const std::uint64_t reach = *answer_.killed_at + 1;
  SampleOptions what{.name = "resumed", .argv = words_of(options_.resume), .stop_after = options_.steps};
  what.go_on = [&](std::uint32_t rank, const protocol::Start& start) {
    TakeUp of_another;
    return take_up(whole_.run, rank, start, reach, rank == 0 ? taken_ : of_another);
  };
  resumed_ = record(what, place);
  if (resumed_.has_steps()) return true;
  return give_up(fmt::format("the resume command recorded no step: it {}", how_it_ended(resumed_)), &resumed_);
}

std::string Check::resume_ended() const {
  const RunReader resumed(resumed_.run);
  return ended_well(resumed_, resumed.end_step() == options_.steps) ? "closed" : resumed_.ending.text();
}

void Check::judge() {
  const RunReader whole(whole_.run), killed(killed_.run), resumed(resumed_.run);
  answer_.taken_up_at = taken_.step;
  if (!taken_.step) {
    answer_.verdict = judge_unknown_weights(whole, resumed, *answer_.killed_at + 1);
  } else if (*taken_.step == 0) {
    give_up(
        "the resume command began the training anew, at step 0: it took up nothing. Was there a checkpoint by then "
        "(a larger --at), and does it look for one?");
  } else if (*taken_.step > *answer_.killed_at + 1) {
    give_up(
        fmt::format("the resume took up at step {}, which the killed run never came to: it found a checkpoint that "
                    "was there before. Run the check in a folder without one",
                    *taken_.step));
  } else {
    answer_.verdict = judge_resume(whole, killed, resumed, taken_, resume_ended());
    judge_taken_up();
  }
  join_surroundings();
}

void Check::judge_taken_up() {
  if (answer_.verdict.outcome == Outcome::diverged) confirm();
  if (answer_.verdict.outcome == Outcome::same) {
    check_run(RunReader(whole_.run));
    check_run(RunReader(resumed_.run));
  }
  if (resume_ended() != "closed") say_how_it_broke_off();
  answer_.verdict.limits.emplace_back("that the resume repeats itself: it was run once");
}

// A divergence is called where the uninterrupted program repeats itself up to there. The killed run tells of the steps
// that it made; for later ones the program is run once more.
void Check::confirm() {
  Verdict& verdict = answer_.verdict;
  if (verdict.cause == Cause::ended) {
    verdict.limits.emplace_back("that the program always makes as many steps: it was run to its end once");
    return;
  }
  const std::uint64_t step = *verdict.step;
  if (step <= *answer_.twice_to) return;
  options_.say(fmt::format("parted at step {}; running the program once more up to there before it is called", step));
  const Sample again =
      record({.name = "again", .argv = options_.argv, .stop_after = step + 1, .repeats = &whole_}, fresh_);
  if (again.has_steps()) {
    const RunReader whole(whole_.run), second(again.run);
    answer_.twice_to = std::max(*answer_.twice_to, std::min(whole.end_step(), second.end_step()) - 1);
    Verdict repetition = judge_repetition(whole, second, "a second one");
    if (repetition.outcome != Outcome::same) verdict = std::move(repetition);
  }
  if (verdict.outcome != Outcome::diverged || step <= *answer_.twice_to) return;
  verdict.outcome = Outcome::incomparable;
  verdict.limits.push_back(
      fmt::format("whether the program repeats step {}: run once more, it {} before", step, how_it_ended(again)));
}

// Another command it has, that is the point of it.
std::vector<EnvironmentDifference> differences(const RunReader& whole, const RunReader& resumed,
                                               const Verdict& verdict) {
  const std::uint64_t step = verdict.step.value_or(resumed.first_step());
  const std::uint64_t a = std::clamp(step, whole.first_step(), whole.end_step() - 1);
  const std::uint64_t b = std::clamp(step, resumed.first_step(), resumed.end_step() - 1);
  auto found = environment_differences(surroundings_at(whole, a), surroundings_at(resumed, b));
  std::erase_if(found, [](const EnvironmentDifference& difference) {
    return difference.kind == EnvironmentDifference::Kind::told && difference.item == "command";
  });
  return found;
}

void Check::join_surroundings() {
  const RunReader whole(whole_.run), resumed(resumed_.run);
  weigh_environment(answer_.verdict, differences(whole, resumed, answer_.verdict), options_.ignore_environment);
}

void Check::say_how_it_broke_off() {
  say(fmt::format("the resume command {}; {}", how_it_ended(resumed_), last_step_words(RunReader(resumed_.run))));
  for (const std::string& line : last_lines(resumed_.output, shown_lines)) say("its output ended: " + line);
}

// What happened, before what was found.
void Check::say_what_was_done() {
  std::vector<std::string> course;
  if (answer_.killed_at)
    course.push_back(fmt::format("the program was killed after step {}: it had made step {} and nothing that follows",
                                 options_.at, *answer_.killed_at));
  if (!taken_.text.empty()) course.push_back("the resume: " + taken_.text);
  if (answer_.twice_to)
    course.push_back(
        fmt::format("run twice without an interruption, the program gave equal bits up to step {}; what "
                    "comes later was not run twice",
                    *answer_.twice_to));
  auto& evidence = answer_.verdict.evidence;
  const bool found = answer_.verdict.outcome == Outcome::diverged || answer_.verdict.outcome == Outcome::same;
  evidence.insert(found ? evidence.begin() : evidence.end(), course.begin(), course.end());
}

std::string Check::reproduce() const {
  std::vector<std::string> words{"samestep", "resume-check", "--at", std::to_string(options_.at)};
  if (options_.steps != 0) words.insert(words.end(), {"--steps", std::to_string(options_.steps)});
  if (options_.in_place) words.emplace_back("--in-place");
  if (options_.network) words.emplace_back("--network");
  for (const fs::path& folder : options_.view) words.insert(words.end(), {"--view", folder.string()});
  if (options_.ignore_environment) words.emplace_back("--ignore-environment");
  if (!options_.resume.empty()) words.insert(words.end(), {"--resume", options_.resume});
  words.emplace_back("--");
  words.insert(words.end(), options_.argv.begin(), options_.argv.end());
  return shell_words(words);
}

bool has_other_ranks(const fs::path& run) {
  std::error_code error;
  if (!fs::exists(run, error)) return false;
  return std::ranges::any_of(read_manifest(run).segments,
                             [](const SegmentEntry& segment) { return segment.rank != 0; });
}

ResumeAnswer Check::finished() {
  Verdict& verdict = answer_.verdict;
  if (!options_.resume.empty()) say_what_was_done();
  name_refused_writes(verdict, refused_);
  if (has_other_ranks(whole_.run)) verdict.limits.emplace_back("what the other processes did: rank 0 was compared");
  if (!options_.keep.empty()) say("the recordings and what the commands printed: " + folder_.path().string());
  verdict.reproduce = reproduce();
  return std::move(answer_);
}

void check_steps(const ResumeOptions& options) {
  if (options.steps == 0 || options.steps >= options.at + 2) return;
  throw BrokenInput(fmt::format("--steps {} leaves nothing to resume after step {}: at least {} steps are needed.",
                                options.steps, options.at, options.at + 2));
}

}  // namespace

ResumeAnswer resume_check(const ResumeOptions& options) {
  check_steps(options);
  return Check(options).run();
}

int exit_code(const ResumeAnswer& answer) {
  return answer.untestable ? exit_untestable : exit_code(answer.verdict.outcome);
}

nlohmann::json to_json(const ResumeAnswer& answer) {
  nlohmann::json json = to_json(answer.verdict);
  const auto put = [&](const char* name, const std::optional<std::uint64_t>& step) {
    json[name] = step ? nlohmann::json(*step) : nlohmann::json();
  };
  put("killed_at", answer.killed_at);
  put("taken_up_at", answer.taken_up_at);
  put("repeated_to", answer.twice_to);
  json["tested"] = answer.tested_anchors ? "anchor" : "resume";
  return json;
}

}  // namespace samestep
