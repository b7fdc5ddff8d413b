// What differs around two runs, and what it excuses.
#include "replay/compare/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace samestep {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = EnvironmentDifference::Kind;

Surroundings usual() {
  return {.what = {{"argv", {"train", "--steps", "9"}},
                   {"host", "one"},
                   {"files", json::array({{{"path", "/a/train"}, {"digest", std::string(64, '1')}}})}},
          .environment = {{"threads", {{"intra", 2}}}, {"torch_version", "2.14.1"}, {"host", "one"}}};
}

Verdict diverged() {
  Verdict verdict;
  verdict.outcome = Outcome::diverged;
  verdict.cause = Cause::backward;
  verdict.step = 3;
  verdict.lane = Lane::gradients;
  return verdict;
}

TEST(EnvironmentDifferences, OfEqualSurroundingsThereAreNone) {
  Surroundings other = usual();
  other.what["host"] = "two";
  other.environment["host"] = "two";
  EXPECT_THAT(environment_differences(usual(), other), IsEmpty());
}

TEST(EnvironmentDifferences, ASettingIsNamedWithBothValues) {
  Surroundings other = usual();
  other.environment["threads"]["intra"] = 1;
  const auto found = environment_differences(usual(), other);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(describe(found[0]), "threads.intra: 2 against 1");
  EXPECT_EQ(found[0].kind, Kind::setting);
}

TEST(EnvironmentDifferences, AVariableThatTheSessionSawAndItsPinAreOneItem) {
  Surroundings one = usual();
  Surroundings other = usual();
  one.environment["variables"] = {{"OMP_NUM_THREADS", "2"}};
  other.environment["variables"] = {{"OMP_NUM_THREADS", "1"}};
  one.what["pins"] = json::array({{{"name", "OMP_NUM_THREADS"}, {"value", "2"}}});
  other.what["pins"] = json::array({{{"name", "OMP_NUM_THREADS"}, {"value", "1"}}});
  const auto found = environment_differences(one, other);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(describe(found[0]), "OMP_NUM_THREADS: 2 against 1");
}

TEST(EnvironmentDifferences, OfProcessorFlagsOnlyTheDifferentOnesAreTold) {
  Surroundings one = usual();
  Surroundings other = usual();
  one.what["machine"] = {{"processor", "X"}, {"processor_flags", "fma avx2 avx512f"}};
  other.what["machine"] = {{"processor", "X"}, {"processor_flags", "fma avx2"}};
  const auto found = environment_differences(one, other);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(describe(found[0]), "machine.processor_flags: avx512f against (none)");
}

TEST(EnvironmentDifferences, AFileInAnotherFolderIsMatchedByName) {
  Surroundings other = usual();
  other.what["files"][0]["path"] = "/elsewhere/train";
  EXPECT_THAT(environment_differences(usual(), other), IsEmpty());
  other.what["files"][0]["digest"] = std::string(64, '2');
  const auto found = environment_differences(usual(), other);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, Kind::file);
}

TEST(EnvironmentDifferences, AFileOfOneSideOnlyIsNamed) {
  Surroundings other = usual();
  other.what["files"].push_back({{"path", "/tmp/inject.so"}, {"digest", std::string(64, '3')}});
  const auto found = environment_differences(usual(), other);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(describe(found[0]), "/tmp/inject.so is in the second only");
}

// Mapped where files are watched, and in every replay.
TEST(EnvironmentDifferences, SamestepsOwnLibraryIsNone) {
  Surroundings one = usual(), other = usual();
  const auto library = [](const char* path, char digit) {
    return json{{"path", path}, {"role", "library"}, {"digest", std::string(64, digit)}};
  };
  other.what["files"].push_back(library("/a/lib/samestep/libsamestep_files.so", '3'));
  EXPECT_THAT(environment_differences(one, other), IsEmpty());
  one.what["files"].push_back(library("/b/libsamestep_files.so", '4'));
  EXPECT_THAT(environment_differences(one, other), IsEmpty());
  other.what["files"].push_back(library("/a/lib/libother.so", '5'));
  EXPECT_EQ(environment_differences(one, other).size(), 1U);
}

// It computes nothing of the training: another one excuses nothing, and is no suspect.
TEST(EnvironmentDifferences, AnotherBuildOfThePackageSamestepIsTold) {
  Surroundings one = usual(), other = usual();
  const auto add = [](Surroundings& run, const char* version, char digit) {
    run.what["distributions"] = json::array({{{"name", "samestep"}, {"version", version}, {"used", true}}});
    run.what["files"].push_back(
        {{"path", "/a/libsamestep_python.so"}, {"role", "library"}, {"digest", std::string(64, digit)}});
  };
  add(one, "0.1.0", '3');
  add(other, "0.2.0", '4');
  const auto found = environment_differences(one, other);
  EXPECT_THAT(found, ::testing::SizeIs(2));
  EXPECT_THAT(found, Each(::testing::Field(&EnvironmentDifference::kind, Kind::told)));
  Verdict verdict = diverged();
  weigh_environment(verdict, found, false);
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
}

// Of most variables a manifest has the names alone.
TEST(EnvironmentDifferences, AVariableThatOneSideAloneHadIsASuspect) {
  Surroundings one = usual(), other = usual();
  one.what["environment"] = {{"values", json::object()}, {"names", {"HOME", "TERM"}}};
  other.what["environment"] = {{"values", json::object()}, {"names", {"HOME", "MY_SCALE", "GIT_DIR"}}};
  const auto found = environment_differences(one, other);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(describe(found[0]), "the variable MY_SCALE was set in the second only");
  Verdict same;
  same.outcome = Outcome::same;
  weigh_environment(same, found, false);
  EXPECT_THAT(same.evidence, IsEmpty());
  Verdict verdict = diverged();
  weigh_environment(verdict, found, false);
  EXPECT_THAT(verdict.suspects, Contains(HasSubstr("MY_SCALE")));
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
}

TEST(EnvironmentDifferences, WhatIsMissingIsUnknownNotDifferent) {
  EXPECT_THAT(environment_differences(usual(), Surroundings{}),
              Not(Contains(::testing::Field(&EnvironmentDifference::kind, Kind::setting))));
  EXPECT_THAT(environment_differences(Surroundings{}, Surroundings{}), IsEmpty());
}

// Two sessions of one rank, two segments each.
Manifest continued() {
  Manifest manifest;
  manifest.what = {{"argv", json::array({"train"})}};
  manifest.what["continued"].push_back({{"argv", json::array({"resume"})}, {"segments_before", 2U}});
  for (std::uint32_t number = 0; number < 4; ++number) {
    SegmentEntry segment;
    segment.number = number;
    segment.environment = {{"threads", {{"intra", number < 2 ? 2 : 1}}}};
    manifest.segments.push_back(segment);
  }
  return manifest;
}

// The first session's command was joined to the last segment's environment.
TEST(EnvironmentSessions, EachSegmentHasTheCommandOfItsOwnSession) {
  const Manifest run = continued();
  EXPECT_EQ(surroundings(run, run.segments[1]).what["argv"], json::array({"train"}));
  EXPECT_EQ(surroundings(run, run.segments[1]).environment["threads"]["intra"], 2);
  EXPECT_EQ(surroundings(run, run.segments[2]).what["argv"], json::array({"resume"}));
  EXPECT_EQ(surroundings(run, run.segments[3]).environment["threads"]["intra"], 1);
}

// A program that turned determinism off midway: an event of the run, of which a comparison said nothing.
TEST(EnvironmentMidway, ASettingThatOneProgramChangedIsTold) {
  Manifest a;
  Manifest b;
  b.events = {{0, 0, "environment", 5, "", "deterministic: on, now off"}, {0, 0, "environment", 9, "", "later"}};
  EXPECT_THAT(changed_midway(b, b, 0, 7), IsEmpty());
  EXPECT_THAT(changed_midway(a, b, 1, 7), IsEmpty());
  const auto found = changed_midway(a, b, 0, 7);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, Kind::told);
  EXPECT_EQ(describe(found[0]), "settings at step 5: (none) against deterministic: on, now off");
}

TEST(EnvironmentWeight, ASettingExcusesUnequalBits) {
  Verdict verdict = diverged();
  weigh_environment(verdict, {{Kind::setting, "OMP_NUM_THREADS", "2", "1"}}, false);
  EXPECT_EQ(verdict.outcome, Outcome::incomparable);
  EXPECT_EQ(verdict.cause, Cause::environment);
  EXPECT_EQ(verdict.step, 3U);  // step and lane stay named
  EXPECT_EQ(verdict.lane, Lane::gradients);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("OMP_NUM_THREADS: 2 against 1")));
}

TEST(EnvironmentWeight, UnlessTheEnvironmentIsToBeIgnored) {
  Verdict verdict = diverged();
  weigh_environment(verdict, {{Kind::setting, "OMP_NUM_THREADS", "2", "1"}}, true);
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
  EXPECT_EQ(verdict.cause, Cause::backward);
  EXPECT_THAT(verdict.suspects, Contains(HasSubstr("OMP_NUM_THREADS")));
}

Surroundings reading(int files, char digit) {
  Surroundings run = usual();
  auto list = json::array();
  for (int i = 0; i < files; ++i)
    list.push_back({{"path", "/data/" + std::to_string(i)}, {"digest", std::string(64, digit)}});
  list.push_back({{"path", std::string("/only/") + digit}, {"digest", std::string(64, digit)}});
  run.what["reads"] = {{"files", list}};
  return run;
}

TEST(EnvironmentDifferences, OfAFileThatBothReadItsBytesCount) {
  const auto found = environment_differences(reading(1, '1'), reading(1, '2'));
  ASSERT_EQ(found.size(), 1U) << "a file that one of them reads is that run's own affair";
  EXPECT_EQ(found[0].kind, Kind::file);
  EXPECT_THAT(describe(found[0]), HasSubstr("/data/0 changed"));
}

TEST(EnvironmentDifferences, OfADataSetThatWasMadeAnewSomeFilesAreNamed) {
  const auto found = environment_differences(reading(1000, '1'), reading(1000, '2'));
  EXPECT_LT(found.size(), 30U);
  EXPECT_THAT(describe(found.back()), HasSubstr("980 more of the files read"));
}

TEST(EnvironmentWeight, AChangedFileExcusesNothingAndIsTheFirstSuspect) {
  Verdict verdict = diverged();
  weigh_environment(verdict, {{Kind::told, "revision", "a", "b"}, {Kind::file, "/a/train", "11", "22"}}, false);
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
  ASSERT_FALSE(verdict.suspects.empty());
  EXPECT_THAT(verdict.suspects.front(), HasSubstr("/a/train changed"));
}

TEST(EnvironmentWeight, EqualBitsAreTheSameInSpiteOfIt) {
  Verdict verdict;
  verdict.outcome = Outcome::same;
  weigh_environment(verdict, {{Kind::setting, "OMP_NUM_THREADS", "2", "1"}}, false);
  EXPECT_EQ(verdict.outcome, Outcome::same);
  EXPECT_THAT(verdict.evidence, Contains(HasSubstr("in spite of OMP_NUM_THREADS: 2 against 1")));
}

TEST(EnvironmentWeight, NothingExcusesARunThatEndedEarly) {
  Verdict verdict = diverged();
  verdict.cause = Cause::ended;
  weigh_environment(verdict, {{Kind::setting, "OMP_NUM_THREADS", "2", "1"}}, false);
  EXPECT_EQ(verdict.outcome, Outcome::diverged);
}

}  // namespace
}  // namespace samestep
