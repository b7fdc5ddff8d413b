// The log of a search, which reads like `git bisect log`: a line for each thing that was asked or told, a remark before
// it for people. It holds all that the search went by, so replaying it gives the search again, with no trial repeated.
//
//   samestep bisect log 1
//   samestep bisect start <bad> <good> [--first-parent] [--all] [--assume-monotone] --max-trials <n>
//   samestep bisect trials {"command":["python","train.py"],"run":"/home/ada/samestep-runs/monday"}
//   samestep bisect window 0 13
//   samestep bisect ask <workers>
//   # diverged: [<commit>] Swap the betas
//   samestep bisect diverged <commit> --trial 0 --steps 40 --step 12 --lane gradients --tensor "head.weight"
//
// An answer is the trial's outcome, the commit, and --trial (repetition) and --steps (replayed); then, where there is
// one, --step, --lane, --tensor, --behaviour, --why; texts are JSON strings. `trials` says how they are made
// (bisect/settings.h), `window` which steps they replay, from <= t < to, and in quotes what that assumes, if anything;
// a search alone has neither. Lines that begin with # are remarks. Lines end with a newline: a last one without, of a
// search that was killed as it wrote, is left out.
//
// People may delete answers that they do not believe, as in a log of git's: the trials are made again.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bisect/search.h"

namespace samestep {

// What people see of a commit in a remark, e.g. its subject.
using CommitRemark = std::function<std::string(const std::string& commit)>;

struct LoggedWindow {
  std::uint64_t from = 0, to = 0;
  std::string assumption;  // one sentence: what was not looked at when it was chosen; empty: nothing

  bool operator==(const LoggedWindow&) const = default;
};

// The lines, each with its newline.
[[nodiscard]] std::string log_start(const SearchOptions& options);
[[nodiscard]] std::string log_trials(const nlohmann::json& settings);  // REQUIRES an object
[[nodiscard]] std::string log_window(const LoggedWindow& window);
[[nodiscard]] std::string log_round(const RevisionSearch& search, std::size_t workers, std::size_t questions);
[[nodiscard]] std::string log_answer(const TrialQuestion& question, const TrialAnswer& answer,
                                     const CommitRemark& remark = {});
[[nodiscard]] std::string log_end(const BisectAnswer& answer, const CommitRemark& remark = {});

struct Transcript {
  struct Round {
    std::size_t workers = 0;
    std::vector<std::pair<TrialQuestion, TrialAnswer>> answers;
  };
  SearchOptions options;
  nlohmann::json trials;  // an object; null where the log says nothing of them
  std::optional<LoggedWindow> window;
  std::string window_at;  // "ORIGIN:LINE" of it
  std::vector<Round> rounds;
};

// Throws BrokenInput that names `origin` and the line for anything that no search has written.
[[nodiscard]] Transcript read_transcript(std::string_view text, const std::string& origin);

// What a log has answered already. Trials that were really made stay true whatever else was: of a log from which
// answers were deleted, those that the search asks for are used, in whatever order it comes to them.
class KnownAnswers {
 public:
  KnownAnswers() = default;
  // Throws BrokenInput naming `origin` where the log's search is not `search`: other options, answers about commits
  // that it does not search, or one trial answered twice.
  KnownAnswers(const Transcript& transcript, const RevisionSearch& search, const std::string& origin);

  // Tells what is known, then has `next` run the others of the round. This must outlive it.
  [[nodiscard]] TrialRound before(TrialRound next);
  [[nodiscard]] std::size_t left() const { return answers_.size(); }  // answers that were not asked for yet
  // These as lines of a log, by commit; empty where there are none.
  [[nodiscard]] std::string log_left(const CommitRemark& remark = {}) const;
  // How many answers there are of each commit, used or not.
  [[nodiscard]] const std::map<std::string, std::uint32_t>& of_each() const { return of_each_; }

 private:
  std::map<std::pair<std::string, std::uint32_t>, TrialAnswer> answers_;  // by commit and repetition
  std::map<std::string, std::uint32_t> of_each_;
};

// Asks, has the trials run, tells and logs, until the search has ended. `log` is given each line once, in order, and
// has to keep it before it returns. Write log_start() first.
BisectAnswer conduct(RevisionSearch& search, std::size_t workers, const TrialRound& run,
                     const std::function<void(const std::string&)>& log, const CommitRemark& remark = {});

}  // namespace samestep
