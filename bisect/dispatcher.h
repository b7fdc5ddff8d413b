// Hands trials to workers and collects their answers: what is known already is taken from the cache, the rest is made
// by as many workers as a round has questions.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bisect/executor.h"
#include "bisect/search.h"
#include "bisect/trial_runner.h"

namespace samestep {

class Dispatcher {
 public:
  // As TrialRunner; `repository` and `executor` must outlive this.
  Dispatcher(const Repository& repository, TrialSettings settings, Executor& executor);

  // As of a TrialRunner.
  void look_at(const TrialWindow& window);
  [[nodiscard]] const TrialWindow& window() const { return runner_.window(); }
  [[nodiscard]] bool in_views() const { return runner_.in_views(); }

  // What the first of the trials that are made says of how far it is, from here on; "" where it has ended.
  void on_progress(std::function<void(const std::string&)> tell) { progress_ = std::move(tell); }

  // A TrialRound: all of them side by side. Answers are told in the order of the questions, so that a search's log does
  // not depend on who was faster. Throws and REQUIRES as do_side_by_side().
  void run(const std::vector<TrialQuestion>& questions,
           const std::function<void(std::size_t, const TrialAnswer&)>& tell);
  // A trial that no search has asked; with `save` it is not taken from the cache, and its replay is kept there as a
  // run.
  [[nodiscard]] TrialAnswer ask(const std::string& commit, const std::optional<std::filesystem::path>& save = {});

  // Answers about the present window that were kept; whether some of them, that bisects of another question left, stand
  // beside answers of trials that were made now.
  [[nodiscard]] std::size_t kept() const { return kept_count_; }
  [[nodiscard]] bool mixed() const { return !kept_.empty() && made_ > 0; }
  // Makes the trials of `commits` once more that answers of another question stood for. False where one answers
  // otherwise: what those were made with is not what is here, in something that no key holds.
  [[nodiscard]] bool kept_answers_hold(const std::vector<std::string>& commits);
  // For a result that stands on revisions that could not be tried: makes kept ones of these once more, one for each
  // reason, a few at most. False where one answers otherwise: what kept it from being tried (a header, a tool that was
  // not installed) has been mended since.
  [[nodiscard]] bool kept_untestable_hold();

 private:
  struct Kept {
    std::string commit;
    nlohmann::json key;
    TrialAnswer answer;
  };
  // What was kept of it, noted as such.
  [[nodiscard]] std::optional<TrialAnswer> known_answer(const std::string& commit, const nlohmann::json& key);
  [[nodiscard]] Job job_of(const std::string& commit, nlohmann::json key,
                           std::optional<std::filesystem::path> save = {}) const;
  void make(const std::vector<Job>& jobs, const std::function<void(std::size_t, const TrialAnswer&)>& tell);
  // Whether they answer as they did when they were kept.
  [[nodiscard]] bool hold(const std::vector<const Kept*>& kept);

  const Repository& repository_;
  TrialSettings settings_;
  TrialRunner runner_;
  TrialCache cache_;
  Executor& executor_;
  std::function<void(const std::string&)> progress_ = [](const std::string&) {};
  std::set<std::string> own_;               // the keys of what was made here
  std::vector<Kept> kept_;                  // of other questions, in the order in which they were asked for
  std::map<std::string, Kept> untestable_;  // kept ones, by reason
  std::size_t kept_count_ = 0, made_ = 0;
};

}  // namespace samestep
