// What trials have answered, kept on disk: a second bisect over the same commits, or one that was interrupted, asks
// nothing again. One file an answer, named by the digest of everything that the answer depends on.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "bisect/trial.h"

namespace samestep {

class TrialCache {
 public:
  // `folder` is made when the first answer is kept; empty: nothing is read or kept. `warn` is told of a file that
  // cannot be used or written; the trial is made then, as if it were not there. `fresh`: nothing is found that was kept
  // before, but answers are kept.
  // `asked_by` is written beside each answer.
  TrialCache(std::filesystem::path folder, std::function<void(const std::string&)> warn, bool fresh = false,
             std::string asked_by = "");

  // $XDG_CACHE_HOME/samestep/trials, else ~/.cache/samestep/trials; empty where there is no home.
  [[nodiscard]] static std::filesystem::path default_folder();

  // `key`: an object of whatever decides the answer. The answer's cost is 0: nothing was replayed for it.
  // `other`, where given: whether another question than this cache's asked it.
  [[nodiscard]] std::optional<TrialAnswer> find(const nlohmann::json& key, bool* other = nullptr) const;
  // Atomic: a reader finds the whole answer or none.
  void keep(const nlohmann::json& key, const TrialAnswer& answer) const;

 private:
  [[nodiscard]] std::filesystem::path file_of(const nlohmann::json& key) const;
  std::filesystem::path folder_;
  std::function<void(const std::string&)> warn_;
  bool fresh_;
  std::string asked_by_;
};

[[nodiscard]] nlohmann::json to_json(const TrialAnswer& answer);
// Throws BrokenInput that begins with `origin` for what no trial answers.
[[nodiscard]] TrialAnswer trial_answer_from(const nlohmann::json& json, const std::string& origin);

}  // namespace samestep
