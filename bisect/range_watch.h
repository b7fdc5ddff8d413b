// What a search knows so far, for people who watch it and for reports: follows the rounds and shows each change.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "bisect/picture.h"
#include "bisect/search.h"
#include "bisect/transcript.h"

namespace samestep {

class RangeWatch {
 public:
  // `show` is called with each new picture, one call at a time, from the threads that bring news. `remark` says what
  // people see of a commit. `finished` is told of each trial that is done, in one line. `search` must outlive this.
  RangeWatch(
      const RevisionSearch& search, std::size_t workers, std::function<void(const RangePicture&)> show,
      CommitRemark remark, std::function<void(const std::string&)> finished = [](const std::string&) {});

  // `run`, followed. This must outlive it.
  [[nodiscard]] TrialRound watched(TrialRound run);
  // How far the trial at hand is; "" where it has ended. From any thread.
  void progress(const std::string& text);

  // What each commit answered, in the order of the answers. Not while a round runs.
  [[nodiscard]] const std::map<std::string, std::vector<TrialAnswer>>& answers() const { return answers_; }

 private:
  [[nodiscard]] RangeMark mark_of(History::Index commit, const History::Marks& suspected, History::Index last) const;
  void begin(const std::vector<TrialQuestion>& questions);
  void hear(const TrialQuestion& question, const TrialAnswer& answer);
  void picture();  // REQUIRES mutex_
  [[nodiscard]] std::string commit_text(const std::string& commit) const;
  [[nodiscard]] std::string line_of(const std::string& commit, const TrialAnswer& answer) const;

  const RevisionSearch& search_;
  std::size_t workers_;
  std::function<void(const RangePicture&)> show_;
  CommitRemark remark_;
  std::function<void(const std::string&)> finished_;
  std::map<std::string, std::vector<TrialAnswer>> answers_;
  std::mutex mutex_;
  std::set<std::string> trying_;
  std::string trial_;        // which one is made
  std::size_t settled_ = 0;  // trials since one commit is suspected
  RangePicture picture_;
};

}  // namespace samestep
