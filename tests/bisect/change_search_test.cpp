// Every change of behaviour, changes back among them.
#include "bisect/change_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "tests/bisect/made_history.h"

namespace samestep {
namespace {

using testing::conduct;
using testing::FlakyTrials;
using testing::MadeHistory;
using testing::seeds;

BisectAnswer search_all(const MadeHistory& made, const Trial& trial, bool assume, std::size_t workers = 1) {
  SearchOptions options = made.options();
  options.all = true;
  options.assume_monotone = assume;
  const std::unique_ptr<RevisionSearch> search = make_search(made.history(), options);
  return conduct(*search, trial, workers);
}

std::vector<std::string> changers_of(const MadeHistory& made) {
  std::vector<std::string> ids;
  for (const std::size_t i : made.changers()) ids.push_back(made.id(i));
  return ids;
}

std::vector<std::string> named_by(const BisectAnswer& answer) {
  std::vector<std::string> ids;
  for (const BehaviourChange& change : answer.changes) {
    if (change.proven) ids.insert(ids.end(), change.commits.begin(), change.commits.end());
  }
  return ids;
}

Trial truth_of(const MadeHistory& made) {
  return [&made](const std::string& commit) { return made.truth(commit); };
}

TEST(EveryChange, IsNamedInAThousandSeeds) {
  std::uint64_t trials = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const MadeHistory made({.commits = 150, .merges = 0.1, .changes = 5}, seed);
    const BisectAnswer answer = search_all(made, truth_of(made), false, 8);
    ASSERT_EQ(named_by(answer), changers_of(made)) << "seed " << seed << "\n" << answer;
    ASSERT_EQ(exit_code(answer), 0) << answer;
    trials += answer.trials;
  }
  std::cout << double(trials) / seeds << " trials for 150 commits with 5 changes\n";
}

TEST(EveryChange, IsNamedOfAThousandCommits) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const MadeHistory made({.merges = 0.1, .changes = 9}, seed);
    EXPECT_EQ(named_by(search_all(made, truth_of(made), false, 50)), changers_of(made));
  }
}

// What does not build is listed with the first change after it, or as not looked at; nothing else is accused.
TEST(EveryChange, ThatBrokenCommitsHideIsListedWithThem) {
  for (std::uint64_t seed = 0; seed < seeds / 5; ++seed) {
    const MadeHistory made({.commits = 150, .merges = 0.1, .broken_ranges = 1, .changes = 4}, seed);
    const BisectAnswer answer = search_all(made, truth_of(made), false, 8);
    const std::vector<std::string> truth = changers_of(made);
    std::set<std::string> listed(answer.unseen.begin(), answer.unseen.end());
    for (const BehaviourChange& change : answer.changes) {
      listed.insert(change.commits.begin(), change.commits.end());
      if (!change.proven) continue;
      EXPECT_THAT(truth, ::testing::Contains(change.commits.front())) << answer;
    }
    for (const std::string& commit : truth) EXPECT_TRUE(listed.count(commit) == 1) << "seed " << seed << answer;
  }
}

// Assumed to stay what it is between equal ends, a history takes few trials, and what is named is a change.
TEST(EveryChange, IsFoundWithFewTrialsUnderTheAssumption) {
  std::uint64_t trials = 0;
  for (std::uint64_t seed = 0; seed < seeds / 5; ++seed) {
    const MadeHistory made({.commits = 1000, .changes = 1}, seed);
    const BisectAnswer answer = search_all(made, truth_of(made), true);
    ASSERT_EQ(named_by(answer), changers_of(made)) << "seed " << seed << "\n" << answer;
    trials += answer.trials;
  }
  EXPECT_LT(trials / (seeds / 5), 20u);
}

TEST(EveryChange, OfAFlakyProgramIsNotAccusedWronglyMoreThanOnceInAHundred) {
  std::uint64_t wrong = 0, missed = 0, trials = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const MadeHistory made({.commits = 100, .changes = 3}, seed);
    FlakyTrials flaky(made, seed, 0.1, 0.05);
    const BisectAnswer answer = search_all(
        made, [&](const std::string& commit) { return flaky(commit); }, false, 8);
    const std::vector<std::string> truth = changers_of(made);
    const std::vector<std::string> named = named_by(answer);
    wrong +=
        std::all_of(named.begin(), named.end(),
                    [&](const std::string& id) { return std::find(truth.begin(), truth.end(), id) != truth.end(); })
            ? 0
            : 1;
    missed += named.size() < truth.size() ? 1 : 0;
    trials += answer.trials;
  }
  std::cout << wrong << " wrong, " << missed << " missed one, " << double(trials) / seeds
            << " trials for 100 commits\n";
  EXPECT_LE(wrong, seeds / 100);
}

}  // namespace
}  // namespace samestep
