#include "bisect/step_search.h"

#include <fmt/format.h>

namespace samestep {
namespace {

constexpr std::size_t fewest_windows = 4;  // below, the whole run costs hardly more

class StepSearch {
 public:
  StepSearch(const std::vector<std::uint64_t>& starts, std::uint64_t end, const TrialOfSteps& trial)
      : starts_(starts), end_(end), trial_(trial) {}

  FirstDivergence run() {
    if (starts_.size() < fewest_windows) return whole();
    // Most changes show at once: a setting, a seed, the model.
    TrialAnswer first = window(0);
    if (first.outcome != TrialOutcome::same) return {std::move(first), "", cost_};
    TrialAnswer last = window(starts_.size() - 1);
    if (last.outcome != TrialOutcome::diverged) return whole();
    return between(0, starts_.size() - 1, std::move(last));
  }

 private:
  // Window `same` was the same, `differs` was not.
  FirstDivergence between(std::size_t same, std::size_t differs, TrialAnswer answer) {
    while (differs - same > 1) {
      const std::size_t middle = same + (differs - same) / 2;
      TrialAnswer found = window(middle);
      if (found.outcome == TrialOutcome::same) {
        same = middle;
      } else if (found.outcome == TrialOutcome::diverged) {
        differs = middle;
        answer = std::move(found);
      } else {
        return whole();
      }
    }
    FirstDivergence result{std::move(answer), "", cost_};
    // A program that cannot be brought to an anchor was computed from its start, and parted there.
    if (result.answer.step && *result.answer.step >= starts_[differs]) result.assumption = assumed(same, differs);
    return result;
  }

  [[nodiscard]] std::string assumed(std::size_t same, std::size_t differs) const {
    return fmt::format(
        "the bad revision is the same in all steps before {}: of those, {} windows between anchors were replayed, the "
        "last "
        "one steps {} to {}",
        starts_[differs], same_windows_, starts_[same], starts_[same + 1] - 1);
  }

  TrialAnswer window(std::size_t i) {
    TrialAnswer answer = asked(starts_[i], i + 1 < starts_.size() ? starts_[i + 1] : end_);
    if (answer.outcome == TrialOutcome::same) ++same_windows_;
    return answer;
  }

  TrialAnswer asked(std::uint64_t from, std::uint64_t to) {
    TrialAnswer answer = trial_(from, to);
    cost_ += answer.steps_replayed;
    return answer;
  }

  FirstDivergence whole() {
    TrialAnswer answer = asked(starts_.front(), end_);
    return {std::move(answer), "", cost_};
  }

  const std::vector<std::uint64_t>& starts_;
  std::uint64_t end_;
  const TrialOfSteps& trial_;
  std::uint64_t cost_ = 0;
  std::size_t same_windows_ = 0;
};

}  // namespace

FirstDivergence find_first_divergence(const std::vector<std::uint64_t>& starts, std::uint64_t end,
                                      const TrialOfSteps& trial) {
  return StepSearch(starts, end, trial).run();
}

}  // namespace samestep
