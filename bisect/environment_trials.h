// A trial of an environment: the recorded steps replayed in a view in which some of the items that differ stand as they
// were recorded, and the others as they are in the other environment. The files themselves are never touched.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bisect/delta_search.h"
#include "bisect/environment_items.h"
#include "bisect/repository.h"
#include "bisect/trial_runner.h"

namespace samestep {

struct EnvironmentTrialSettings {
  ReplayOptions replay;  // as TrialSettings has it
  // Not null: trials check `commit` out first and build it. Must outlive the trials.
  const Repository* repository = nullptr;
  std::string commit, build;
  Limits build_limits;
  std::filesystem::path folder;                                // what trials printed: FOLDER/<number>-<items>/
  std::filesystem::path cache = TrialCache::default_folder();  // empty: every trial is made
  bool fresh = false;                                          // so it is with this, but answers are kept
};

class EnvironmentTrials {
 public:
  // `recorded`: the manifest's `what` of the session that is replayed.
  EnvironmentTrials(EnvironmentTrialSettings settings, nlohmann::json recorded, const TrialWindow& window);

  // What is exchanged from here on; sets name items by their place in it.
  void take(std::vector<EnvironmentItem> items) { items_ = std::move(items); }
  void look_at(const TrialWindow& window) { window_ = window; }

  // One replay with the items of `in` as in the other environment, which also tells what differs around the run; not
  // taken from the cache. Throws as TrialRunner::ask().
  [[nodiscard]] ReplayAnswer look(const ItemSet& in);
  // One trial. Asked again, it is made again. Throws as TrialRunner::ask(), and BrokenInput where an item cannot be put
  // into the view.
  [[nodiscard]] TrialAnswer ask(const ItemSet& in);

 private:
  struct Tried {
    TrialAnswer answer;
    bool holds = true;  // as long as its inputs stay
  };
  [[nodiscard]] ReplayOptions options_for(const ItemSet& in, const std::filesystem::path& own) const;
  [[nodiscard]] nlohmann::json exchanged_in(const ItemSet& in) const;
  [[nodiscard]] nlohmann::json key_of(const ItemSet& in, std::uint64_t sample) const;
  [[nodiscard]] std::vector<std::filesystem::path> inputs() const;
  [[nodiscard]] ReplayAnswer replay_once(ReplayOptions options, const std::filesystem::path& own) const;
  [[nodiscard]] Tried try_once(const ItemSet& in);
  [[nodiscard]] std::filesystem::path new_folder(const ItemSet& in);

  EnvironmentTrialSettings settings_;
  nlohmann::json recorded_;
  TrialWindow window_;
  TrialCache cache_;
  std::vector<EnvironmentItem> items_;
  std::map<ItemSet, std::uint64_t> asked_;
  std::uint64_t made_ = 0;  // the last folder's number
};

}  // namespace samestep
