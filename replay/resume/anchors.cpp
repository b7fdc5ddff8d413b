#include "replay/resume/anchors.h"

#include <fmt/format.h>

#include "replay/player/player.h"

namespace samestep {
namespace {

void say_first(Verdict& verdict, std::string sentence) {
  verdict.evidence.insert(verdict.evidence.begin(), std::move(sentence));
}

ReplayOptions replay_options(const ResumeOptions& options, const std::filesystem::path& whole,
                             const std::filesystem::path& folder) {
  ReplayOptions replaying;
  replaying.run = whole;
  replaying.from = options.at + 1;
  replaying.folder = folder / "replay";
  replaying.in_place = options.in_place;
  replaying.view = options.view;
  replaying.network = options.network;
  replaying.ignore_environment = options.ignore_environment;
  replaying.say = options.say;
  return replaying;
}

}  // namespace

ResumeAnswer check_anchor(const ResumeOptions& options, const std::filesystem::path& whole,
                          const std::filesystem::path& folder) {
  ReplayOptions replaying = replay_options(options, whole, folder);
  Workplace place(options, false, folder / "files-replay");
  place.prepare();
  replaying.cwd = place.cwd();
  const ReplayAnswer replayed = replay(replaying);
  ResumeAnswer answer;
  answer.tested_anchors = true;
  answer.verdict = replayed.verdict;
  answer.untestable = replayed.untestable;
  if (replayed.anchor) answer.taken_up_at = *replayed.anchor;
  Verdict& verdict = answer.verdict;
  if (verdict.outcome == Outcome::same && replayed.anchor != options.at + 1) {
    verdict.outcome = Outcome::incomparable;
    say_first(verdict,
              fmt::format("no anchor after step {} took the program there, so no anchor was tested", options.at));
  }
  say_first(verdict,
            fmt::format("tested was Samestep's own anchor after step {}, and nothing of the program's own: its "
                        "checkpoints and its resume are tested with --resume",
                        options.at));
  verdict.limits.emplace_back("that the program resumes from its own checkpoints: no --resume was given");
  return answer;
}

}  // namespace samestep
