// Seeds as they come from a training process or a manifest: hostile until checked.
#include "replay/recorder/seeds.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/run/temporary_folder.h"

namespace samestep {
namespace {

nlohmann::json entry(const char* seed = "17") {
  return {{"process", "0/0"}, {"source", "torch"}, {"call", 0U}, {"seed", seed}, {"code", "00ff"}};
}

std::vector<Seed> from(const std::vector<nlohmann::json>& entries) {
  return seeds_from_manifest({{"seeds", entries}});
}

TEST(Seeds, ComeBackFromAManifest) {
  const auto seeds = from(std::vector{entry("-12"), entry("1.5e+300")});
  ASSERT_EQ(seeds.size(), 2U);
  EXPECT_EQ(seeds[0].value, "-12");
  EXPECT_EQ(to_json(seeds), nlohmann::json(std::vector{entry("-12"), entry("1.5e+300")}));
}

TEST(Seeds, LeavesOutWhatPythonNeverWrites) {
  for (const char* seed : {"", "1 2", "__import__('os')", "1\n", "11111111111111111111111111111111111111111"})
    EXPECT_TRUE(from(std::vector{entry(seed)}).empty()) << seed;
  for (const char* field : {"process", "source", "call", "seed", "code"}) {
    auto without = entry();
    without.erase(field);
    EXPECT_TRUE(from(std::vector{without}).empty()) << field;
    auto wrong = entry();
    wrong[field] = nlohmann::json::array();
    EXPECT_TRUE(from(std::vector{wrong}).empty()) << field;
  }
  EXPECT_TRUE(seeds_from_manifest({{"seeds", "17"}}).empty());
  EXPECT_TRUE(seeds_from_manifest(nlohmann::json::array()).empty());
}

TEST(Seeds, TakesNoMoreThanItsLimit) {
  EXPECT_EQ(from(std::vector(most_seeds + 5, entry())).size(), most_seeds);
}

TEST(Seeds, ReadsWholeLinesOnly) {
  const TemporaryFolder folder;
  const auto socket = folder.path() / "socket";
  EXPECT_TRUE(asked_seeds(socket).empty());
  std::ofstream(folder.path() / "seeds") << entry("1").dump() << "\n{\"process\": \"0/0\", \"sou\n\n"
                                         << entry("2").dump();
  const auto seeds = asked_seeds(socket);
  ASSERT_EQ(seeds.size(), 2U);
  EXPECT_EQ(seeds[1].value, "2");
}

TEST(Seeds, GoToOtherArgumentsUnlessThatIsNotWished) {
  const TemporaryFolder folder;
  auto one = entry();
  one["arguments"] = "0a1b";
  const auto seeds = from(std::vector{one});
  ASSERT_EQ(seeds.size(), 1U);
  for (const bool by_arguments : {true, false}) {
    give_seeds(seeds, folder.path() / "socket", by_arguments);
    nlohmann::json given;
    std::ifstream(folder.path() / "seeds-given") >> given;
    EXPECT_EQ(given.contains("arguments"), by_arguments) << given;
  }
  one["arguments"] = "no digest";
  EXPECT_TRUE(from(std::vector{one}).empty());
}

TEST(Seeds, NamesTheOnesThatCameOutOtherwise) {
  const auto recorded = from(std::vector{entry("1")});
  auto asked = from(std::vector{entry("2")});
  EXPECT_TRUE(other_seeds(recorded, recorded).empty());
  ASSERT_EQ(other_seeds(recorded, asked).size(), 1U);
  EXPECT_NE(other_seeds(recorded, asked)[0].find("given the seed 2, recorded was 1: it stands"), std::string::npos);
  asked[0].replaced = true;
  EXPECT_NE(other_seeds(recorded, asked)[0].find("put in its place"), std::string::npos);
}

}  // namespace
}  // namespace samestep
