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
#include "bisect/repository.h"
#include "bisect/trial_runner.h"

namespace samestep {

struct BisectOptions {
  std::filesystem::path repository;  // any folder of the checkout
  std::string good, bad;             // revisions
  std::vector<std::string> paths;    // only commits that change these count; none: all
  bool first_parent = false;
  bool all = false;                              // every commit that changes behaviour
  bool assume_monotone = false;                  // of `all`
  std::optional<std::filesystem::path> run;      // the reference; without: the good revision is recorded first
  std::optional<std::filesystem::path> bad_run;  // keep the bad revision's replay here, as a run
  std::uint64_t steps = 0;                       // of a reference that is recorded first: how many; 0: all
  std::filesystem::path folder;                  // what the bisect leaves; must not exist, or be empty
  // Command, cwd, view, show, network, ignore_environment, in_place (worktrees), limits, say, progress; the rest is the
  // bisect's own.
  ReplayOptions replay;
  std::string build;  // a shell's command, in the checkout's top folder; empty: nothing is built
  Limits build_limits;
  std::vector<std::filesystem::path> links;  // of worktrees
  std::filesystem::path cache = TrialCache::default_folder();
};

struct BisectReport {
  BisectAnswer answer;
  std::vector<CommitDescription> accused;  // of each commit that the answer accuses, in its order
  CommitDiff diff;                         // of a culprit, within the paths asked for
  std::filesystem::path log;               // of the search (bisect/transcript.h)
};

// Throws BrokenInput for a revision that is none, a good one that is no ancestor of the bad one, a run that cannot be
// read, a disk that is full; TamperedInput; TrialInterrupted. REQUIRES the main thread (see launch()).
[[nodiscard]] BisectReport bisect(const BisectOptions& options);

[[nodiscard]] nlohmann::json to_json(const BisectReport& report);
// One screen of text: the conclusion, then who, when and what.
std::ostream& operator<<(std::ostream& out, const BisectReport& report);

}  // namespace samestep
