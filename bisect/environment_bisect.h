// When it is not a commit: which of the differences around a run make the training diverge from it. The recorded
// environment is one side; the other is what stands here now, or another run's.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bisect/delta_search.h"
#include "bisect/environment_items.h"
#include "bisect/repository.h"
#include "bisect/trial_cache.h"
#include "replay/player/player.h"

namespace samestep {

struct EnvironmentBisectOptions {
  std::filesystem::path run;                       // the reference
  std::optional<std::filesystem::path> other_run;  // the other environment; without: what is here now
  std::vector<std::filesystem::path> from;         // hold original files: see FileSources
  std::filesystem::path folder;                    // what the bisect leaves
  ReplayOptions replay;                            // as BisectOptions has it
  // Not empty: every trial has this revision of the repository's checkout, built; its files are no items then.
  std::string good;
  std::filesystem::path repository = ".";
  std::string build;
  Limits build_limits;
  std::filesystem::path cache = TrialCache::default_folder();
  bool fresh = false;  // no answer is taken from it; what is answered is kept all the same
  // One line for each trial that is done; for people who see no progress.
  std::function<void(const std::string&)> finished = [](const std::string&) {};
};

struct EnvironmentReport {
  DeltaAnswer answer;  // sets name items by place
  std::vector<EnvironmentItem> items;
  std::vector<KeptDifference> kept;  // differ too, and stood as they are in every trial
  std::string other;                 // "now", or the other run
  std::filesystem::path folder;      // what the trials printed
};

// Throws BrokenInput, TamperedInput, TrialInterrupted as bisect() does. REQUIRES the main thread (see launch()).
[[nodiscard]] EnvironmentReport bisect_environment(const EnvironmentBisectOptions& options);

// 0 a minimal set is proven; 3 whatever else was found.
[[nodiscard]] int exit_code(const EnvironmentReport& report);
[[nodiscard]] nlohmann::json to_json(const EnvironmentReport& report);
std::ostream& operator<<(std::ostream& out, const EnvironmentReport& report);

// What differs around a revision that is known to have made the run.
struct ChangedAround {
  bool diverges = false;                 // it no longer reproduces the run
  std::optional<std::uint64_t> step;     // where it parts, then
  std::vector<std::string> differences;  // sentences, as a verdict's suspects
  std::string next;                      // the command that goes on
};
// One replay of `options.good`, from the run's start to where it parts.
[[nodiscard]] ChangedAround look_around(const EnvironmentBisectOptions& options);

}  // namespace samestep
