// A trial: a revision checked out in a view of the user's checkout, built, replayed over the steps that matter, and
// judged. Everything that it starts ends with it, what it writes goes with it, and nothing of the user's is touched.
// Where the machine allows no view, the revision stands in a worktree of its own and the program runs there in place.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "bisect/repository.h"
#include "bisect/trial.h"
#include "bisect/trial_cache.h"
#include "bisect/window.h"
#include "replay/player/player.h"

namespace samestep {

struct TrialSettings {
  // What is replayed: run, command, cwd, set, rank, view, show, network, ignore_environment, say, progress; `limits`
  // for each replay. What else a trial needs of it is set by the trial.
  ReplayOptions replay;
  std::string build;  // a shell's command, in the checkout's top folder; empty: nothing is built
  Limits build_limits;
  bool whole = false;                        // compare on after the first difference: the answer tells `behaviour`
  std::vector<std::filesystem::path> links;  // for trials without a view: untracked files and folders of the checkout
  bool worktrees = false;                    // do without views although there might be some
  std::filesystem::path folder;              // what trials printed: FOLDER/<number>-<commit>/, each new; made
  std::filesystem::path cache = TrialCache::default_folder();  // empty: every trial is made
};

// Somebody asked for the end by a signal while a trial ran. All of it is gone, and nothing was concluded.
class TrialInterrupted : public std::runtime_error {
 public:
  explicit TrialInterrupted(int signal) : std::runtime_error("interrupted"), signal_(signal) {}
  [[nodiscard]] int signal() const { return signal_; }

 private:
  int signal_;
};

// Asks revisions. The n-th time that it is asked the same one, an answer is taken from the cache only if it was the
// n-th of an earlier bisect: asking again is a new trial. Not thread-safe; a copy shares nothing.
class TrialRunner {
 public:
  // Throws BrokenInput where the run cannot be read, or where no folder of the machine can hold a trial.
  TrialRunner(const Repository& repository, TrialSettings settings);
  ~TrialRunner();

  // The steps that trials replay from here on; the whole run until somebody says so.
  void look_at(const TrialWindow& window);
  [[nodiscard]] const TrialWindow& window() const;
  [[nodiscard]] bool in_views() const;

  // Throws TrialInterrupted; TamperedInput and BrokenInput where no revision could be tried: the run contradicts
  // itself, its folder is gone, the disk is full. REQUIRES the main thread (see launch()).
  [[nodiscard]] TrialAnswer ask(const std::string& commit);
  // The bad revision over the whole run, kept as a run directory in `save`; not taken from the cache.
  [[nodiscard]] TrialAnswer ask_and_save(const std::string& commit, const std::filesystem::path& save);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What a replay's answer says of the revision: `incomparable` is no answer about it.
[[nodiscard]] TrialAnswer trial_answer_of(const ReplayAnswer& replayed);

}  // namespace samestep
