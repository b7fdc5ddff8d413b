// Answers as JUnit's XML, read back by an XML parser (check_junit.py).
#include "replay/compare/junit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fstream>

#include "tests/bisect/made_repository.h"
#include "tests/player/written_run.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class JUnit : public ::testing::Test {
 protected:
  // What the parser makes of a report; its complaint where it is none.
  std::string read(const std::filesystem::path& report) {
    const std::string line =
        SAMESTEP_PYTHON " " SAMESTEP_CHECK_JUNIT " " + report.string() + " >" + (folder_ / "read").string() + " 2>&1";
    const int status = std::system(line.c_str());
    EXPECT_EQ(status, 0) << testing::text_of(folder_ / "read") << testing::text_of(report);
    return testing::text_of(folder_ / "read");
  }
  std::string written_and_read(const JUnitSuite& suite) {
    std::ofstream(folder_ / "report.xml") << to_xml(suite);
    return read(folder_ / "report.xml");
  }
  int samestep(std::string words) {
    if (words.starts_with("replay") && !testing::view_refusal().empty()) words.insert(6, " --in-place");
    const std::string line =
        "cd " + folder_.path().string() + " && " SAMESTEP_PROGRAM " " + words + " >out 2>&1 </dev/null";
    const int status = std::system(line.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  testing::Folder folder_;
};

TEST_F(JUnit, HoldsTextsOfAnyBytes) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  all += "\xef\xbf\xbe \xef\xbf\xbf \xf0\x9f\x98\x80 ]]> <!-- & \" ' \u202e";
  const JUnitSuite suite{all,
                         all,
                         {{all, JUnitCase::Result::failed, all, all, all + "\n" + all},
                          {all, JUnitCase::Result::skipped, "", all, ""},
                          {all, JUnitCase::Result::passed, "", "", ""}}};
  const std::string read = written_and_read(suite);
  EXPECT_THAT(read, HasSubstr("\\x00\\x01"));
  EXPECT_THAT(read, HasSubstr("\\ufffe \\uffff \xf0\x9f\x98\x80 ]]> <!-- & \" ' \\u202e"));
}

TEST_F(JUnit, HoldsNothingAtAll) {
  EXPECT_EQ(written_and_read({"", "", {}}), "");
}

TEST_F(JUnit, AVerdictIsACaseAndSoIsEachLane) {
  Verdict verdict;
  verdict.outcome = Outcome::diverged;
  verdict.step = 12;
  verdict.lane = Lane::gradients;
  verdict.tensor = "head.<weight>";
  verdict.lanes[static_cast<std::size_t>(Lane::batch)].equal = 12;
  verdict.lanes[static_cast<std::size_t>(Lane::gradients)].differs = 1;
  const std::string read = written_and_read({"samestep diff", "a b", junit_cases(verdict)});
  EXPECT_THAT(read, StartsWith("failure verdict | diverged at step 12 in gradients, head.<weight>\n"));
  EXPECT_THAT(read, HasSubstr("passed lane batch | \n"));
  EXPECT_THAT(read, HasSubstr("failure lane gradients | differs at step 12 in gradients, head.<weight>\n"));
  EXPECT_THAT(read, HasSubstr("skipped lane rng | "));
}

// What concludes nothing must not look like success.
TEST_F(JUnit, OnlyTheSamePasses) {
  for (const Outcome outcome :
       {Outcome::same, Outcome::diverged, Outcome::flaky, Outcome::incomparable, Outcome::tampered}) {
    Verdict verdict;
    verdict.outcome = outcome;
    const std::string read = written_and_read({"samestep diff", "a b", junit_cases(verdict)});
    EXPECT_EQ(read.starts_with("passed verdict"), outcome == Outcome::same) << read;
    EXPECT_THAT(read, Not(StartsWith("skipped")));
    EXPECT_THAT(written_and_read({"", "", junit_cases(verdict, true)}), StartsWith("error verdict | untestable"));
  }
}

TEST_F(JUnit, IsWhatReplayAndDiffWriteBesideTheirAnswer) {
  testing::WrittenRun run;
  run.argv = {SAMESTEP_FRAMES_TRAINER};
  testing::write(run, folder_ / "a&b");
  ASSERT_EQ(samestep("replay 'a&b' --junit report.xml"), 0) << testing::text_of(folder_ / "out");
  EXPECT_THAT(read(folder_ / "report.xml"), StartsWith("passed verdict"));
  EXPECT_THAT(testing::text_of(folder_ / "report.xml"), HasSubstr("classname=\"a&amp;b\""));
  ASSERT_EQ(samestep("replay 'a&b' --junit report.xml --save b -- " SAMESTEP_FRAMES_TRAINER " --edit loss:7"), 1);
  EXPECT_THAT(read(folder_ / "report.xml"), StartsWith("failure verdict | diverged at step 7 in loss"));
  ASSERT_EQ(samestep("diff 'a&b' b --junit report.xml"), 1);
  EXPECT_THAT(read(folder_ / "report.xml"), StartsWith("failure verdict | diverged at step 7 in loss"));
  ASSERT_EQ(samestep("replay 'a&b' --junit report.xml -- /nowhere/trainer"), 125);
  EXPECT_THAT(read(folder_ / "report.xml"), StartsWith("error verdict | untestable"));
}

// Yesterday's report must not be read as today's.
TEST_F(JUnit, SaysSoWhereThereIsNoAnswer) {
  std::ofstream(folder_ / "report.xml") << "yesterday's";
  EXPECT_EQ(samestep("diff nowhere elsewhere --junit report.xml"), 2);
  EXPECT_THAT(read(folder_ / "report.xml"), StartsWith("error verdict | nowhere"));
  EXPECT_EQ(samestep("diff nowhere elsewhere --junit no/such/folder.xml"), 2);
  EXPECT_THAT(testing::text_of(folder_ / "out"), HasSubstr("no/such/folder.xml"));
}

}  // namespace
}  // namespace samestep
