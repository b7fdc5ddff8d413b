// Histories by hand, one difficulty each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "replay/run/error.h"
#include "tests/bisect/made_history.h"

namespace samestep {
namespace {

using testing::conduct;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Commits by one letter; its id is that letter's code over and over.
std::string id(char letter) {
  static const char* digits = "0123456789abcdef";
  std::string text;
  while (text.size() < 40) (text += digits[letter / 16]) += digits[letter % 16];
  return text;
}

// "a b:a c:b,x" is: a, b on a, c the merge of x into b. `outcomes`: a letter for each commit that is not `same`:
// d(iverged), u(ntestable), f(laky).
class HandMade {
 public:
  HandMade(const std::string& graph, std::map<char, char> outcomes) : outcomes_(std::move(outcomes)) {
    std::istringstream words(graph);
    for (std::string word; words >> word;) {
      History::Commit commit{id(word[0]), "", {}, true};
      for (std::size_t i = 2; i < word.size(); i += 2) commit.parents.push_back(id(word[i]));
      commits.insert(commits.begin(), commit);
    }
  }
  BisectAnswer search(char good, char bad, std::size_t workers = 1, bool first_parent = false) {
    SearchOptions options;
    options.good = id(good);
    options.bad = id(bad);
    options.first_parent = first_parent;
    options.max_trials = 200;
    asked.clear();
    const auto search = make_search(History(commits), options);
    return conduct(
        *search, [&](const std::string& commit) { return answer(commit); }, workers);
  }
  std::vector<History::Commit> commits;
  std::string asked;

 private:
  TrialAnswer answer(const std::string& commit) {
    TrialAnswer answer;
    answer.outcome = TrialOutcome::same;
    for (const auto& [letter, outcome] : outcomes_) {
      if (id(letter) != commit) continue;
      answer.outcome = outcome == 'd'   ? TrialOutcome::diverged
                       : outcome == 'u' ? TrialOutcome::untestable
                                        : TrialOutcome::flaky;
    }
    for (char letter = 'A'; letter <= 'z'; ++letter) asked += id(letter) == commit ? std::string(1, letter) : "";
    return answer;
  }
  std::map<char, char> outcomes_;
};

TEST(HardHistory, ASideBranchThatNeverHadTheBehaviourAccusesNobody) {
  // x was forked from r, before g changed behaviour to the reference's; e is the culprit. git bisect would accuse x.
  HandMade made("r g:r x:r y:x b:g m:b,y d:m e:d h:e", {{'r', 'd'}, {'x', 'd'}, {'y', 'd'}, {'e', 'd'}, {'h', 'd'}});
  const BisectAnswer answer = made.search('g', 'h');
  ASSERT_EQ(answer.conclusion, Conclusion::culprit) << answer;
  EXPECT_EQ(answer.accused->commits.front(), id('e'));
  EXPECT_EQ(made.asked.find('x'), std::string::npos);
}

TEST(HardHistory, ACulpritInASideBranchFromBeforeTheGoodRevisionIsFound) {
  HandMade made("r g:r x:r y:x z:y b:g m:b,z h:m", {{'y', 'd'}, {'z', 'd'}, {'m', 'd'}, {'h', 'd'}});
  const BisectAnswer answer = made.search('g', 'h');
  ASSERT_EQ(answer.conclusion, Conclusion::culprit) << answer;
  EXPECT_EQ(answer.accused->commits.front(), id('y'));
}

TEST(HardHistory, AMergeOfABranchThatAlwaysDivergedStaysOpen) {
  HandMade made("r g:r x:r y:x b:g m:b,y h:m", {{'r', 'd'}, {'x', 'd'}, {'y', 'd'}, {'m', 'd'}, {'h', 'd'}});
  const BisectAnswer answer = made.search('g', 'h');
  EXPECT_EQ(answer.conclusion, Conclusion::several) << answer;
  EXPECT_THAT(answer.remaining, ::testing::UnorderedElementsAre(id('x'), id('y'), id('m')));
  EXPECT_THAT(answer.why, HasSubstr("side branch"));
  EXPECT_EQ(exit_code(answer), 3);
}

TEST(HardHistory, ALineOfFirstParentsTakesTheMergeForItsBranch) {
  HandMade made("g x:g y:x b:g m:b,y h:m", {{'x', 'd'}, {'y', 'd'}, {'m', 'd'}, {'h', 'd'}});
  EXPECT_EQ(made.search('g', 'h').accused->commits.front(), id('x'));
  EXPECT_EQ(made.search('g', 'h', 1, true).accused->commits.front(), id('m'));
  EXPECT_EQ(made.asked.find('x'), std::string::npos);
}

TEST(HardHistory, UntestableCommitsBeforeTheFirstBadOneRemainWithIt) {
  HandMade made("a b:a c:b d:c e:d f:e g:f", {{'c', 'u'}, {'d', 'u'}, {'e', 'd'}, {'f', 'd'}, {'g', 'd'}});
  const BisectAnswer answer = made.search('a', 'g');
  EXPECT_EQ(answer.conclusion, Conclusion::several);
  EXPECT_THAT(answer.remaining, ElementsAre(id('c'), id('d'), id('e')));
  EXPECT_THAT(answer.why, HasSubstr("2 of these commits could not be tried"));
}

TEST(HardHistory, FlakyCommitsAreGoneAround) {
  HandMade made("a b:a c:b d:c e:d f:e g:f", {{'c', 'f'}, {'d', 'f'}, {'e', 'd'}, {'f', 'd'}, {'g', 'd'}});
  EXPECT_THAT(made.search('a', 'g').remaining, ElementsAre(id('c'), id('d'), id('e')));
}

TEST(HardHistory, ChangedBackAndChangedAgainTheNewestChangeIsAccused) {
  for (const std::size_t workers : {1, 2, 4, 8}) {
    HandMade made("a b:a c:b d:c e:d f:e g:f h:g i:h j:i k:j l:k",
                  {{'c', 'd'}, {'d', 'd'}, {'e', 'd'}, {'j', 'd'}, {'k', 'd'}, {'l', 'd'}});
    const BisectAnswer answer = made.search('a', 'l', workers);
    ASSERT_EQ(answer.conclusion, Conclusion::culprit) << workers << " workers\n" << answer;
    // One worker may meet either change; whichever it is, trials have shown it.
    EXPECT_THAT(answer.accused->commits.front(), ::testing::AnyOf(id('c'), id('j'))) << answer;
    if (workers <= 2) continue;
    EXPECT_EQ(answer.accused->commits.front(), id('j')) << answer;
  }
}

TEST(HardHistory, TwoBranchesThatBothBrokeAccuseOneOfTheTwo) {
  for (const std::size_t workers : {1, 3, 6}) {
    HandMade made("a b:a c:b d:c x:b y:x z:y m:d,z n:m",
                  {{'c', 'd'}, {'d', 'd'}, {'y', 'd'}, {'z', 'd'}, {'m', 'd'}, {'n', 'd'}});
    const BisectAnswer answer = made.search('a', 'n', workers);
    ASSERT_EQ(answer.conclusion, Conclusion::culprit) << workers << " workers\n" << answer;
    EXPECT_THAT(answer.accused->commits.front(), ::testing::AnyOf(id('c'), id('y')));
  }
}

TEST(HardHistory, ACommitThatPathLeavesOutIsNamedWhereTrialsShowIt) {
  HandMade made("a b:a c:b d:c e:d", {{'c', 'd'}, {'d', 'd'}, {'e', 'd'}});
  for (auto& commit : made.commits) commit.counts = commit.id != id('c') && commit.id != id('b');
  const BisectAnswer answer = made.search('a', 'e');
  ASSERT_EQ(answer.conclusion, Conclusion::culprit) << answer;
  EXPECT_EQ(answer.accused->commits.front(), id('c')) << answer;
}

TEST(HardHistory, EqualTreesAreTriedOnce) {
  HandMade made("a b:a c:b d:c e:d f:e", {{'e', 'd'}, {'f', 'd'}});
  for (auto& commit : made.commits) commit.tree = commit.id == id('d') || commit.id == id('b') ? id('t') : commit.id;
  EXPECT_EQ(made.search('a', 'f').accused->commits.front(), id('e'));
}

TEST(WrongEnds, AreNamedAndAccuseNobody) {
  const std::string line = "a b:a c:b d:c e:d";
  const auto end = [&](std::map<char, char> outcomes) { return HandMade(line, std::move(outcomes)).search('a', 'e'); };
  const BisectAnswer good = end({{'a', 'd'}, {'b', 'd'}, {'c', 'd'}, {'d', 'd'}, {'e', 'd'}});
  EXPECT_EQ(good.conclusion, Conclusion::end_not_as_claimed);
  EXPECT_THAT(good.why, HasSubstr("good revision does not reproduce")) << good;
  const BisectAnswer bad = end({});
  EXPECT_EQ(bad.conclusion, Conclusion::end_not_as_claimed);
  EXPECT_THAT(bad.why, HasSubstr("bad revision reproduces")) << bad;
  const BisectAnswer unbuilt = end({{'a', 'u'}, {'e', 'd'}});
  EXPECT_EQ(unbuilt.conclusion, Conclusion::end_not_as_claimed);
  EXPECT_EQ(exit_code(unbuilt), 3);
  const BisectAnswer flaky = end({{'e', 'f'}});
  EXPECT_EQ(flaky.conclusion, Conclusion::flaky);
  EXPECT_EQ(exit_code(flaky), 3);
  const BisectAnswer nothing = end({{'a', 'u'}, {'b', 'u'}, {'c', 'u'}, {'d', 'u'}, {'e', 'u'}});
  EXPECT_EQ(nothing.conclusion, Conclusion::untestable);
  EXPECT_EQ(exit_code(nothing), 2);
  EXPECT_EQ(nothing.trials, 2u);
  for (const BisectAnswer& answer : {good, bad, unbuilt, flaky, nothing}) EXPECT_FALSE(answer.accused);
}

void expect_refused(HandMade made, char good, char bad, const char* why) {
  try {
    static_cast<void>(made.search(good, bad));
    FAIL() << why;
  } catch (const BrokenInput& error) {
    EXPECT_THAT(error.what(), HasSubstr(why));
  }
}

TEST(WrongEnds, BetweenWhichNothingLiesAreRefused) {
  expect_refused({"a b:a c:b x:a", {}}, 'c', 'a', "the other way round");
  expect_refused({"a b:a c:b x:a", {}}, 'x', 'c', "is not an ancestor");
  expect_refused({"a b:a c:b", {}}, 'b', 'b', "are one commit");
  expect_refused({"a b:a c:b", {}}, 'q', 'c', "the good revision");
  expect_refused({"a:c b:a c:b", {}}, 'a', 'c', "among its own ancestors");
  expect_refused({"a b:a b:a", {}}, 'a', 'b', "appears twice");
}

TEST(AnswerOfASearch, HasTheFieldsOfABisect) {
  HandMade made("a b:a c:b", {{'b', 'd'}, {'c', 'd'}});
  const BisectAnswer answer = made.search('a', 'c');
  const nlohmann::json json = to_json(answer, [](const std::string&) { return nlohmann::json{{"author", "A"}}; });
  EXPECT_EQ(json["culprit"]["commit"], id('b'));
  EXPECT_EQ(json["culprit"]["author"], "A");
  EXPECT_TRUE(json["culprit"]["signature"].is_null());
  EXPECT_TRUE(json["remaining"].empty());
  EXPECT_EQ(json["trials"], answer.trials);
  EXPECT_TRUE(json.contains("steps_replayed"));
  // Never on one sample.
  for (const char letter : {'a', 'b'}) EXPECT_GE(std::count(made.asked.begin(), made.asked.end(), letter), 2);
}

}  // namespace
}  // namespace samestep
