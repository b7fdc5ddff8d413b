// The forms of a verdict: JSON for programs, text for people, exit codes for shells.
#include "replay/compare/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace samestep {
namespace {

using ::testing::HasSubstr;

Verdict diverged() {
  Verdict verdict;
  verdict.outcome = Outcome::diverged;
  verdict.cause = Cause::backward;
  verdict.step = 137;
  verdict.last_same_step = 136;
  verdict.lane = Lane::gradients;
  verdict.tensor = "head.weight";
  verdict.lanes[static_cast<std::size_t>(Lane::rng)].equal = 138;
  verdict.lanes[static_cast<std::size_t>(Lane::batch)] = {.equal = 100, .one_sided = 38};
  verdict.lanes[static_cast<std::size_t>(Lane::gradients)] = {.equal = 137, .differs = 1};
  verdict.steps_compared = 138;
  verdict.evidence = {"1 of 262 tensors differs"};
  verdict.suspects = {"train.py changed"};
  verdict.reproduce = "samestep diff a b";
  return verdict;
}

TEST(VerdictJson, HasEveryFieldAndNullWhereUnknown) {
  const nlohmann::json unknown = to_json(Verdict{});
  for (const char* key : {"verdict", "class", "step", "last_same_step", "lane", "tensor", "operator", "lanes",
                          "steps_compared", "evidence", "suspects", "reproduce"}) {
    ASSERT_TRUE(unknown.contains(key)) << key;
  }
  for (const char* key : {"class", "step", "last_same_step", "lane", "tensor", "operator", "reproduce"}) {
    EXPECT_TRUE(unknown[key].is_null()) << key;
  }
  EXPECT_EQ(unknown["verdict"], "incomparable");
  EXPECT_EQ(unknown["lanes"].size(), lane_count);
}

TEST(VerdictJson, CarriesWhatIsKnown) {
  const nlohmann::json json = to_json(diverged());
  EXPECT_EQ(json["verdict"], "diverged");
  EXPECT_EQ(json["class"], "backward");
  EXPECT_EQ(json["step"], 137);
  EXPECT_EQ(json["last_same_step"], 136);
  EXPECT_EQ(json["lane"], "gradients");
  EXPECT_EQ(json["tensor"], "head.weight");
  EXPECT_EQ(json["lanes"]["rng"], "equal");
  EXPECT_EQ(json["lanes"]["gradients"], "differs");
  EXPECT_EQ(json["lanes"]["batch"], "partly");
  EXPECT_EQ(json["partly"], nlohmann::json::parse(R"({"batch": {"compared": 100, "missed": 38}})"));
  EXPECT_EQ(json["lanes"]["state"], "not_compared");
  EXPECT_EQ(json["steps_compared"], 138);
}

TEST(VerdictText, TellsFromTheVerdictDownToTheCommand) {
  std::ostringstream out;
  out << diverged();
  const std::string text = out.str();
  std::size_t at = 0;
  for (const char* part :
       {"diverged (backward): step 137, gradients, head.weight", "step 136",
        "rng =  batch partly (100 of 138)  gradients !=", "train.py", "1 of 262", "samestep diff a b"}) {
    const std::size_t found = text.find(part);
    ASSERT_NE(found, std::string::npos) << part << " in\n" << text;
    EXPECT_GE(found, at) << part;
    at = found;
  }
}

TEST(VerdictText, ALongListIsCutAndSaysSo) {
  Verdict verdict = diverged();
  verdict.suspects.assign(100, "some file");
  std::ostringstream out;
  out << verdict;
  EXPECT_THAT(out.str(), HasSubstr("and 88 more"));
}

TEST(VerdictExitCodes, AreTheOnesOfTheDesign) {
  EXPECT_EQ(exit_code(Outcome::same), 0);
  EXPECT_EQ(exit_code(Outcome::diverged), 1);
  EXPECT_EQ(exit_code(Outcome::flaky), 3);
  EXPECT_EQ(exit_code(Outcome::incomparable), 3);
  EXPECT_EQ(exit_code(Outcome::tampered), 4);
}

TEST(VerdictNames, AreDistinct) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Cause::ended); ++i) names.insert(name(static_cast<Cause>(i)));
  EXPECT_EQ(names.size(), 11U);
  EXPECT_FALSE(names.contains(""));
}

}  // namespace
}  // namespace samestep
