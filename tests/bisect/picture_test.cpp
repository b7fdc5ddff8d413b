// The range on one line of a terminal.
#include "bisect/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bisect/range_watch.h"
#include "tests/bisect/made_history.h"

namespace samestep {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::MadeHistory;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

RangePicture ten_commits() {
  RangePicture picture;
  using enum RangeMark;
  picture.commits = {same, before, untestable, same, suspected, trying, suspected, diverged, after, diverged};
  picture.suspected = 3;
  picture.trials = 5;
  picture.left = 7;
  picture.doing = "021ed1ca Swap the betas, replaying step 3 of 0 to 12, from the start";
  return picture;
}

// The bar's own characters take one column each; of the others nothing here is wide.
std::size_t width(const std::string& line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

TEST(Picture, ShowsEachCommitTheCountsAndTheTrial) {
  EXPECT_EQ(draw(ten_commits(), 200, false),
            "[+-?+.@.x=x] 3 of 10 suspected, 5 of ~12 trials: 021ed1ca Swap the betas, replaying step 3 of 0 to 12, "
            "from the start");
  EXPECT_THAT(draw(ten_commits(), 200, true), ::testing::StartsWith("[✓─?✓▒◆▒✗━✗] 3 of 10"));
}

TEST(Picture, FitsAnyWidth) {
  RangePicture picture = ten_commits();
  for (const std::size_t commits : {1U, 2U, 10U, 1000U}) {
    picture.commits.assign(commits, RangeMark::suspected);
    for (const char* doing : {"", "Swap", "日本語の説明日本語の説明日本語の説明日本語の説明", "a\nb\033[31mc"}) {
      picture.doing = doing;
      for (std::size_t columns = 0; columns <= 200; ++columns) {
        for (const bool unicode : {false, true}) {
          const std::string line = draw(picture, columns, unicode);
          EXPECT_LE(width(line), columns) << line;
          EXPECT_THAT(line, Not(HasSubstr("\n")));
          EXPECT_THAT(line, Not(HasSubstr("\033")));
          const bool plain = std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; });
          EXPECT_TRUE(unicode || plain) << line;
        }
      }
    }
  }
}

TEST(Picture, GivesUpTheLeastTellingFirst) {
  EXPECT_EQ(draw(ten_commits(), 80, false),
            "[+-?+.@.x=x] 3 of 10 suspected, 5 of ~12 trials: 021ed1ca Swap the betas, rep...");
  EXPECT_EQ(draw(ten_commits(), 40, false), "[+-?+.@.x=x] 3 left, 5 of ~12");
  EXPECT_EQ(draw(ten_commits(), 20, false), "[+-?.@.xx] 3 left");
  EXPECT_EQ(draw(ten_commits(), 5, false), "");
  EXPECT_EQ(draw(RangePicture{}, 80, false), "");
}

// A thousand commits share some forty columns: none that is suspected or tried is lost.
TEST(Picture, ShowsTheMostTellingOfCommitsThatShareAColumn) {
  RangePicture picture = ten_commits();
  picture.commits.assign(1000, RangeMark::before);
  picture.commits[999] = RangeMark::diverged;
  picture.commits[500] = RangeMark::suspected;
  picture.commits[501] = RangeMark::same;
  EXPECT_THAT(draw(picture, 120, false), MatchesRegex("\\[-+\\.-+x\\] .*"));
}

TEST(Picture, WideCharactersCountTwice) {
  EXPECT_EQ(columns_of("abc"), 3U);
  EXPECT_EQ(columns_of("é"), 1U);
  EXPECT_EQ(columns_of("日本"), 4U);
}

TEST(TrialsLeft, HalveAndThenMakeSure) {
  EXPECT_EQ(trials_left(1000, 0, 1), 15U);
  EXPECT_EQ(trials_left(2, 0, 1), 6U);
  EXPECT_EQ(trials_left(1, 0, 1), 5U);
  EXPECT_EQ(trials_left(1, 3, 1), 2U);
  EXPECT_EQ(trials_left(1, 9, 1), 1U) << "it never says that it is done before it is";
  EXPECT_EQ(trials_left(1000, 0, 3), 20U);
}

// What a search that errs never really takes.
TEST(RangeWatch, FollowsASearchToItsEnd) {
  const MadeHistory made({.commits = 100}, 5);
  const std::unique_ptr<RevisionSearch> search = make_search(made.history(), made.options());
  std::vector<RangePicture> pictures;
  std::vector<std::string> lines;
  RangeWatch watch(
      *search, 1, [&](const RangePicture& picture) { pictures.push_back(picture); },
      [](const std::string&) { return "its subject"; }, [&](const std::string& line) { lines.push_back(line); });
  const auto trial = one_by_one([&](const std::string& commit) {
    watch.progress("step 3");
    return made.truth(commit);
  });
  const BisectAnswer answer = conduct(*search, 1, watch.watched(trial), [](const std::string&) {}, {});
  ASSERT_EQ(pictures.size(), 3 * answer.trials) << "begun, on its way, done";
  ASSERT_EQ(lines.size(), answer.trials);
  EXPECT_THAT(lines[0], AllOf(StartsWith("trial 1 of ~"), HasSubstr(" its subject "), EndsWith(" of 100 suspected")));
  EXPECT_THAT(lines, Contains(HasSubstr("its subject diverged at step ")));
  for (std::size_t i = 1; i < pictures.size(); ++i) EXPECT_LE(pictures[i].suspected, pictures[i - 1].suspected);
  EXPECT_THAT(pictures[1].doing, EndsWith("its subject, step 3"));
  EXPECT_EQ(std::count(pictures[1].commits.begin(), pictures[1].commits.end(), RangeMark::trying), 1);
  const RangePicture& last = pictures.back();
  EXPECT_EQ(last.trials, answer.trials);
  EXPECT_EQ(last.left, 1U);
  const std::size_t culprit = made.changers().front();
  EXPECT_EQ(last.commits.at(culprit), RangeMark::diverged);
  EXPECT_EQ(last.commits.at(culprit - 1), RangeMark::same);
  EXPECT_EQ(last.commits.front(), RangeMark::same);
  EXPECT_EQ(last.commits.back(), RangeMark::diverged);
  std::size_t told = 0;
  for (const auto& [commit, answers] : watch.answers()) told += answers.size();
  EXPECT_EQ(told, answer.trials);
}

}  // namespace
}  // namespace samestep
