// One bisect from its beginning to its answer: the reference, the range of commits, the window that matters, the
// search, the trials, the log, and what the repository says of the culprit.
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bisect/answer.h"
#include "bisect/environment_bisect.h"
#include "bisect/picture.h"
#include "bisect/repository.h"
#include "bisect/trial_runner.h"
#include "replay/compare/junit.h"

namespace samestep {

struct BisectOptions {
  std::filesystem::path repository;  // any folder of the checkout; empty: the current one, or the log's
  std::string good, bad;             // revisions; empty: the log's
  std::vector<std::string> paths;    // only commits that change these count; none: all
  bool first_parent = false;
  bool all = false;                              // every commit that changes behaviour
  bool assume_monotone = false;                  // of `all`
  std::optional<std::filesystem::path> run;      // the reference; without: the good revision is recorded first
  std::optional<std::filesystem::path> bad_run;  // keep the bad revision's replay here, as a run
  std::uint64_t steps = 0;                       // of a reference that is recorded first: how many; 0: all
  std::filesystem::path folder;                  // what the bisect leaves; must not exist, or be empty
  // Go on from this log: what is not said here is taken from it, its trials are not made again, and all others are
  // made, whatever was kept of earlier bisects. It may be the one in `folder`, which is then replaced, or one copied or
  // edited.
  std::optional<std::filesystem::path> resume;
  // Command, cwd, view, show, network, ignore_environment, in_place (worktrees), limits, say, progress; the rest is the
  // bisect's own.
  ReplayOptions replay;
  std::string build;  // a shell's command, in the checkout's top folder; empty: nothing is built
  Limits build_limits;
  std::vector<std::filesystem::path> links;  // of worktrees
  std::filesystem::path cache = TrialCache::default_folder();
  bool fresh = false;                      // no answer is taken from it; what is answered is kept all the same
  std::size_t workers = 1;                 // trials at a time; REQUIRES at least one
  bool slurm = false;                      // by jobs of a Slurm cluster, not by processes of this machine
  std::vector<std::string> slurm_options;  // of sbatch: "time=60"
  // The range as it narrows, while trials are made; replay.progress is told "" when it goes. From any thread.
  std::function<void(const RangePicture&)> show = [](const RangePicture&) {};
  // One line for each trial of the search that is done; for people who see no picture.
  std::function<void(const std::string&)> finished = [](const std::string&) {};
};

// A revision that trials were made of.
struct TriedRevision {
  CommitDescription commit;
  std::vector<TrialAnswer> answers;
};

struct BisectReport {
  BisectAnswer answer;
  std::vector<CommitDescription> accused;  // of each commit that the answer accuses, in its order
  CommitDiff diff;                         // of a culprit, within the paths asked for
  std::vector<TriedRevision> tried;        // oldest first
  TrialWindow window;                      // the steps that trials replayed
  bool whole = false;                      // these are all of the run
  std::size_t kept = 0;                    // of the answers: those that earlier bisects had left
  std::size_t logged = 0;                  // of the answers: those of the log that was gone on from
  ChangedAround around;                    // where the good revision no longer reproduces the run
  std::filesystem::path log;               // of the search (bisect/transcript.h)
};

// Throws BrokenInput for a revision that is none, a good one that is no ancestor of the bad one, a run that cannot be
// read, a log of another search, a disk that is full; TamperedInput; TrialInterrupted. REQUIRES the main thread (see
// launch()).
[[nodiscard]] BisectReport bisect(const BisectOptions& options);

[[nodiscard]] nlohmann::json to_json(const BisectReport& report);
// The conclusion, then each revision that was tried: one that was the same passes, one that diverged fails, one that
// could not be tried, or differs from itself, is skipped.
[[nodiscard]] std::vector<JUnitCase> junit_cases(const BisectReport& report);
// One screen of text: the conclusion, then who, when and what.
std::ostream& operator<<(std::ostream& out, const BisectReport& report);

}  // namespace samestep
