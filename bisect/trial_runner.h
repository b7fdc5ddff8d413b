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
  bool views_needed = false;                 // a machine without views ends the trial, and no worktree is made instead
  std::filesystem::path folder;              // what trials printed: FOLDER/<number>-<commit>/, each new; made
  std::filesystem::path cache = TrialCache::default_folder();  // empty: every trial is made
  std::string asked_by;  // the question that trials serve: written beside each answer that is kept
  bool fresh = false;    // so it is with this, but answers are kept
  std::string machines;  // which ones trials run on, where that is not this one: part of what answers are kept under
};

// Somebody asked for the end by a signal while a trial ran. All of it is gone, and nothing was concluded.
class TrialInterrupted : public std::runtime_error {
 public:
  explicit TrialInterrupted(int signal) : std::runtime_error("interrupted"), signal_(signal) {}
  [[nodiscard]] int signal() const { return signal_; }

 private:
  int signal_;
};

// Asks revisions. Not thread-safe; a copy shares nothing.
class TrialRunner {
 public:
  struct Tried {
    TrialAnswer answer;
    bool holds = true;  // as long as its inputs stay: it may be kept
  };

  // Throws BrokenInput where the run cannot be read, or where no folder of the machine can hold a trial.
  TrialRunner(const Repository& repository, TrialSettings settings);
  ~TrialRunner();

  // The steps that trials replay from here on; the whole run until somebody says so.
  void look_at(const TrialWindow& window);
  [[nodiscard]] const TrialWindow& window() const;
  [[nodiscard]] bool in_views() const;

  // Whatever decides the answer: what it is kept under. `sample` counts the trials of a revision from 0: asking again
  // is another question.
  [[nodiscard]] nlohmann::json key_of(const std::string& commit, std::uint64_t sample) const;
  // Whether what the commit's trials take from outside of the revision is still what `key` was made of.
  [[nodiscard]] bool has_inputs_of(const std::string& commit, const nlohmann::json& key) const;
  // A new one for a trial of `commit`. Throws BrokenInput where it cannot be made.
  [[nodiscard]] std::filesystem::path new_folder(const std::string& commit);
  // Makes the trial; what it prints goes to `own`, a new_folder(). `save`: the replay is kept there, as a run
  // directory, and goes on after a divergence. Throws TrialInterrupted; TamperedInput and BrokenInput where no revision
  // could be tried: the run contradicts itself, its folder is gone, the disk is full. REQUIRES the main thread (see
  // launch()).
  [[nodiscard]] Tried make(const std::string& commit, const std::filesystem::path& own,
                           const std::optional<std::filesystem::path>& save = {});
  // Makes the trial, or takes its answer from the cache: the n-th time that it is asked a revision, the n-th sample.
  // Throws and REQUIRES as make().
  [[nodiscard]] TrialAnswer ask(const std::string& commit);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What a replay's answer says of the revision: `incomparable` is no answer about it.
[[nodiscard]] TrialAnswer trial_answer_of(const ReplayAnswer& replayed);
// Whether it would say so another day, too: what passed a limit of time or memory may not, where less else runs.
[[nodiscard]] bool holds_for_long(const ReplayAnswer& replayed);

}  // namespace samestep
