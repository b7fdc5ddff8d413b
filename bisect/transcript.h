// The log of a search, which reads like `git bisect log`: a line for each thing that was asked or told, a remark before
// it for people. It holds all that the search went by, so replaying it gives the search again, with no trial repeated.
//
//   samestep bisect log 1
//   samestep bisect start <bad> <good> [--first-parent] [--all] [--assume-monotone] --max-trials <n>
//   samestep bisect ask <workers>
//   # diverged: [<commit>] Swap the betas
//   samestep bisect diverged <commit> --trial 0 --steps 40 --step 12 --lane gradients --tensor "head.weight"
//
// An answer is the trial's outcome, the commit, and --trial (repetition) and --steps (replayed); then, where there is
// one, --step, --lane, --tensor, --behaviour, --why; texts are JSON strings. Lines that begin with # are remarks. Lines
// end with a newline: a last one without, of a search that was killed as it wrote, is left out.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bisect/search.h"

namespace samestep {

// What people see of a commit in a remark, e.g. its subject.
using CommitRemark = std::function<std::string(const std::string& commit)>;

// The lines, each with its newline.
[[nodiscard]] std::string log_start(const SearchOptions& options);
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
  std::vector<Round> rounds;
  std::size_t size = 0;  // bytes of whole lines: where a writer that goes on must cut the file
};

// Throws BrokenInput that names `origin` and the line for anything that no search has written.
[[nodiscard]] Transcript read_transcript(std::string_view text, const std::string& origin);

// Tells `search` what the log holds; returns how many answers. The last round may stay open. Throws BrokenInput naming
// `origin` where the log's search is another one: other options, or answers to what this search does not ask.
std::size_t resume(RevisionSearch& search, const Transcript& transcript, const std::string& origin);

// Asks, has the trials run, tells and logs, until the search has ended. `log` is given each line once, in order, and
// has to keep it before it returns. Of a search that was not resumed, write log_start() first.
BisectAnswer conduct(RevisionSearch& search, std::size_t workers, const TrialRound& run,
                     const std::function<void(const std::string&)>& log, const CommitRemark& remark = {});

}  // namespace samestep
