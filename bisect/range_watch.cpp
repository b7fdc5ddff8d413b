#include "bisect/range_watch.h"

#include <fmt/format.h>

#include "bisect/trial_text.h"

namespace samestep {
namespace {

constexpr std::size_t shown_digits = 8;

RangeMark answered(const std::vector<TrialAnswer>& answers) {
  switch (mostly(answers)) {
    case TrialOutcome::same:
      return RangeMark::same;
    case TrialOutcome::diverged:
      return RangeMark::diverged;
    case TrialOutcome::flaky:
      return RangeMark::flaky;
    case TrialOutcome::untestable:
      break;
  }
  return RangeMark::untestable;
}

}  // namespace

RangeWatch::RangeWatch(const RevisionSearch& search, std::size_t workers, std::function<void(const RangePicture&)> show,
                       CommitRemark remark, std::function<void(const std::string&)> finished)
    : search_(search),
      workers_(workers),
      show_(std::move(show)),
      remark_(std::move(remark)),
      finished_(std::move(finished)) {}

RangeMark RangeWatch::mark_of(History::Index commit, const History::Marks& suspected, History::Index last) const {
  const std::string& id = search_.history().at(commit).id;
  if (trying_.contains(id)) return RangeMark::trying;
  if (const auto found = answers_.find(id); found != answers_.end()) return answered(found->second);
  if (suspected[commit] != 0) return RangeMark::suspected;
  return commit > last ? RangeMark::after : RangeMark::before;
}

void RangeWatch::picture() {
  const History::Marks suspected = search_.suspects_now();
  History::Index last = 0;  // after it comes what contains the culprit; of merges that is the order's word
  for (History::Index i = 0; i < suspected.size(); ++i)
    if (suspected[i] != 0) last = i;
  picture_.commits.resize(suspected.size());
  for (History::Index i = 0; i < suspected.size(); ++i) picture_.commits[i] = mark_of(i, suspected, last);
  picture_.suspected = search_.suspected();
  picture_.left = search_.options().all ? picture_.suspected + 1 : trials_left(picture_.suspected, settled_, workers_);
  picture_.doing = trial_;
  show_(picture_);
}

std::string RangeWatch::commit_text(const std::string& commit) const {
  return commit.substr(0, shown_digits) + (remark_ ? " " + remark_(commit) : "");
}

std::string RangeWatch::line_of(const std::string& commit, const TrialAnswer& answer) const {
  return fmt::format("trial {} of ~{}: {} {}; {} of {} suspected", picture_.trials, picture_.trials + picture_.left,
                     commit_text(commit), outcome_and_step(answer), picture_.suspected, picture_.commits.size());
}

void RangeWatch::begin(const std::vector<TrialQuestion>& questions) {
  const std::lock_guard lock(mutex_);
  trying_.clear();
  for (const TrialQuestion& question : questions) trying_.insert(question.commit);
  trial_ = commit_text(questions.front().commit);
  picture();
}

void RangeWatch::hear(const TrialQuestion& question, const TrialAnswer& answer) {
  const std::lock_guard lock(mutex_);
  answers_[question.commit].push_back(answer);
  trying_.erase(question.commit);
  ++picture_.trials;
  if (search_.suspected() <= 1) ++settled_;
  picture();
  finished_(line_of(question.commit, answer));
}

void RangeWatch::progress(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (trying_.empty()) return;
  picture_.doing = trial_ + (text.empty() ? "" : ", " + text);
  show_(picture_);
}

TrialRound RangeWatch::watched(TrialRound run) {
  return [this, run = std::move(run)](const std::vector<TrialQuestion>& questions, const auto& tell) {
    begin(questions);
    run(questions, [&](std::size_t i, const TrialAnswer& answer) {
      tell(i, answer);
      hear(questions.at(i), answer);
    });
  };
}

}  // namespace samestep
