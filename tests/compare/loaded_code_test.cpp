// The code that two runs loaded: which differences are suspects, and which excuse.
#include "replay/compare/loaded_code.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace samestep {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Kind = EnvironmentDifference::Kind;

json module(const std::string& name, const std::string& path, char digit, const char* since = "start") {
  return {{"path", path},   {"role", "module"},      {"module", name}, {"digest", std::string(64, digit)},
          {"since", since}, {"distribution", "pack"}};
}

Surroundings usual(const std::string& folder = "/one") {
  Surroundings run;
  run.what["files"] = json::array(
      {module("pack", folder + "/pack/__init__.py", '1'),
       module("pack.a", folder + "/pack/a.py", '2'),
       {{"path", "/home/a/train.py"}, {"role", "argument"}, {"module", "__main__"}, {"digest", std::string(64, '3')}}});
  run.what["distributions"] = json::array(
      {{{"name", "other"}, {"version", "1"}, {"used", false}}, {{"name", "pack"}, {"version", "1.2"}, {"used", true}}});
  return run;
}

std::vector<std::string> texts(const Surroundings& a, const Surroundings& b) {
  std::vector<std::string> found;
  for (const auto& difference : environment_differences(a, b)) found.push_back(describe(difference));
  return found;
}

TEST(LoadedCode, ThatIsEqualInAnotherEnvironmentIsNoDifference) {
  EXPECT_THAT(texts(usual("/one"), usual("/two")), IsEmpty());
}

TEST(LoadedCode, WithOtherBytesIsASuspect) {
  Surroundings edited = usual();
  edited.what["files"][1]["digest"] = std::string(64, '9');
  const auto found = environment_differences(usual(), edited);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, Kind::file);
  EXPECT_EQ(describe(found[0]), "/one/pack/a.py changed: digest 222222222222 against 999999999999");
}

TEST(LoadedCode, ThatIsNotAsItWasInstalledIsSaidToBe) {
  Surroundings edited = usual();
  edited.what["files"][1]["digest"] = std::string(64, '9');
  edited.what["distributions"][1]["changed"] = json::array({"pack/a.py"});
  EXPECT_THAT(texts(usual(), edited), ElementsAre(HasSubstr("/one/pack/a.py (not as pack 1.2 installed it) changed")));
  EXPECT_THAT(texts(edited, usual()), ElementsAre(HasSubstr("not as pack 1.2 installed it")));
}

// Another version excuses, and its files differ for no other reason.
TEST(LoadedCode, OfAnotherVersionIsASettingAndNamesNoFiles) {
  Surroundings renewed = usual();
  renewed.what["files"][1]["digest"] = std::string(64, '9');
  renewed.what["files"].push_back(
      {{"path", "/one/pack/c.so"}, {"role", "library"}, {"digest", std::string(64, '7')}, {"distribution", "pack"}});
  renewed.what["distributions"][1]["version"] = "1.3";
  const auto found = environment_differences(usual(), renewed);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, Kind::setting);
  EXPECT_EQ(describe(found[0]), "distribution pack: 1.2 against 1.3");
}

TEST(LoadedCode, VersionsOfWhatNobodyLoadedDoNotCount) {
  Surroundings renewed = usual();
  renewed.what["distributions"][0]["version"] = "2";
  EXPECT_THAT(texts(usual(), renewed), IsEmpty());
}

TEST(LoadedCode, OfOneSideOnlyIsNamedWhereItWasThereFromTheStart) {
  Surroundings more = usual();
  more.what["files"].push_back(module("late", "/one/late.py", '4', "end"));
  EXPECT_THAT(texts(usual(), more), IsEmpty());
  more.what["files"].push_back(module("injected", "/tmp/injected.py", '5'));
  EXPECT_THAT(texts(usual(), more), ElementsAre("module injected (/tmp/injected.py) was loaded in the second only"));
  EXPECT_THAT(texts(more, usual()), ElementsAre("module injected (/tmp/injected.py) was loaded in the first only"));
}

json unowned(const std::string& name, const std::string& path, char digit) {
  json file = module(name, path, digit);
  file.erase("distribution");
  return file;
}

// Samestep itself opens a text file of its own where a replay is given seeds.
TEST(LoadedCode, ATextEncodingOfPythonsOwnIsNoSuspect) {
  Surroundings one = usual(), two = usual();
  for (Surroundings* run : {&one, &two})
    run->what["files"].push_back(unowned("encodings", "/usr/lib/python3.11/encodings/__init__.py", '6'));
  two.what["files"].push_back(unowned("encodings.ascii", "/usr/lib/python3.11/encodings/ascii.py", '7'));
  EXPECT_THAT(texts(one, two), IsEmpty());
  EXPECT_THAT(texts(two, one), IsEmpty());
  two.what["files"].push_back(unowned("encodings.evil", "/tmp/evil.py", '8'));
  EXPECT_THAT(texts(one, two), ElementsAre(HasSubstr("encodings.evil")));
}

TEST(LoadedCode, ATextEncodingWithOtherBytesIs) {
  Surroundings one = usual(), two = usual();
  one.what["files"].push_back(unowned("encodings.ascii", "/usr/lib/python3.11/encodings/ascii.py", '7'));
  two.what["files"].push_back(unowned("encodings.ascii", "/usr/lib/python3.11/encodings/ascii.py", '8'));
  EXPECT_THAT(texts(one, two), ElementsAre(HasSubstr("changed")));
}

TEST(LoadedCode, OfOneSideOnlyIsASuspectButNotWorthAWordWhereBitsAreEqual) {
  const std::vector<EnvironmentDifference> differences{{Kind::loaded, "module x (/x.py)", "(none)", "/x.py"}};
  Verdict same;
  same.outcome = Outcome::same;
  weigh_environment(same, differences, false);
  EXPECT_THAT(same.evidence, IsEmpty());
  Verdict diverged;
  diverged.outcome = Outcome::diverged;
  diverged.cause = Cause::backward;
  weigh_environment(diverged, differences, false);
  EXPECT_EQ(diverged.outcome, Outcome::diverged);
  EXPECT_THAT(diverged.suspects, Contains(HasSubstr("module x")));
}

TEST(LoadedCode, OfARunThatToldNothingIsUnknownNotDifferent) {
  Surroundings silent = usual();
  silent.what.erase("distributions");
  silent.what["files"] = json::array({usual().what["files"][2]});
  EXPECT_THAT(texts(usual(), silent), IsEmpty());
}

TEST(LoadedCode, AnotherRevisionOfTheScriptIsTold) {
  Surroundings one = usual(), two = usual();
  one.what["script_revision"] = {{"commit", "aa"}, {"diff", ""}};
  two.what["script_revision"] = {{"commit", "aa"}, {"diff", "+x"}};
  EXPECT_THAT(texts(one, two), ElementsAre(HasSubstr("uncommitted changes of the script's repository")));
  two.what["script_revision"]["commit"] = "bb";
  EXPECT_THAT(texts(one, two), ElementsAre("revision of the script: aa against bb"));
}

}  // namespace
}  // namespace samestep
