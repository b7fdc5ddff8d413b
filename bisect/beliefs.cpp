#include "bisect/beliefs.h"

#include <algorithm>

namespace samestep {
namespace {

// Before any trial: people name the wrong revision, or another machine's run, often enough.
constexpr double end_prior = 0.2;
constexpr double candidates_prior = 1 - 2 * end_prior;

}  // namespace

Beliefs::Beliefs(const History::Marks& candidates)
    : probability_(candidates.size(), 0), suspects_(candidates.size(), 0) {
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i] != 0) candidates_.push_back(static_cast<History::Index>(i));
  }
  wrong_.assign(candidates_.size(), 0);
}

void Beliefs::hear(std::uint32_t same, std::uint32_t diverged, const History::Marks& some,
                   const History::Marks& every) {
  told_ += same + diverged;
  before_.wrong += same;
  after_.wrong += diverged;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    // Should diverge where the revision contains the candidate, should be the same where it does not.
    wrong_[i] += some[candidates_[i]] * same + (1u - every[candidates_[i]]) * diverged;
  }
}

void Beliefs::weigh(const Noise& noise) {
  least_ = std::min({before_.wrong, after_.wrong, *std::min_element(wrong_.begin(), wrong_.end())});
  const std::uint64_t most = std::max({before_.wrong, after_.wrong, *std::max_element(wrong_.begin(), wrong_.end())});
  // One tree may count against a hypothesis with all its answers, so no count exceeds the answers.
  const std::vector<double> likelihoods = noise.likelihoods(least_, most, told_);
  std::vector<std::size_t> count(likelihoods.size(), 0);
  for (const std::uint32_t wrong : wrong_) ++count[wrong - least_];
  likeliest_ = count.front();
  suspect(likelihoods, count);
}

History::Marks Beliefs::likeliest_marks() const {
  History::Marks marks(probability_.size(), 0);
  for (std::size_t i = 0; i < candidates_.size(); ++i) marks[candidates_[i]] = wrong_[i] == least_ ? 1 : 0;
  return marks;
}

void Beliefs::suspect(const std::vector<double>& likelihoods, const std::vector<std::size_t>& count) {
  const double prior = candidates_prior / static_cast<double>(candidates_.size());
  std::vector<double> level(likelihoods.size());  // probability of all hypotheses with so many wrong answers
  double sum = 0;
  for (std::size_t k = 0; k < level.size(); ++k) {
    double weight = prior * static_cast<double>(count[k]);
    if (before_.wrong - least_ == k) weight += end_prior;
    if (after_.wrong - least_ == k) weight += end_prior;
    sum += level[k] = weight * likelihoods[k];
  }
  std::size_t last = 0;
  suspected_ = 0;
  for (suspicion_ = level[0] / sum; last + 1 < level.size() && suspicion_ < 1 - stop_risk;) {
    suspicion_ += level[++last] / sum;
  }
  before_.probability = end_prior * likelihoods[before_.wrong - least_] / sum;
  after_.probability = end_prior * likelihoods[after_.wrong - least_] / sum;
  before_.suspected = before_.wrong - least_ <= last;
  after_.suspected = after_.wrong - least_ <= last;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    probability_[candidates_[i]] = prior * likelihoods[wrong_[i] - least_] / sum;
    suspects_[candidates_[i]] = wrong_[i] - least_ <= last ? 1 : 0;
    suspected_ += suspects_[candidates_[i]];
  }
}

}  // namespace samestep
