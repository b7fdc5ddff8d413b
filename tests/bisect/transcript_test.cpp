// The log of a search: read by people, replayed by a search that goes on.
//
// Golden transcripts of whole searches lie in testdata. Where a change of the search is meant, rewrite them and read
// the difference:  SAMESTEP_UPDATE_GOLDEN=1 bisect_search_tests --gtest_filter='Golden*'
#include "bisect/transcript.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "replay/run/error.h"
#include "tests/bisect/made_history.h"

namespace samestep {
namespace {

using testing::FlakyTrials;
using ::testing::HasSubstr;
using testing::HistoryShape;
using testing::MadeHistory;

struct Logged {
  std::string log;
  BisectAnswer answer;
};

Logged search_and_log(const MadeHistory& made, const SearchOptions& options, const Trial& trial, std::size_t workers) {
  Logged result;
  const std::unique_ptr<RevisionSearch> search = make_search(made.history(), options);
  result.log = log_start(options);
  const auto remark = [&](const std::string& commit) {
    return "Commit " + std::to_string(made.history().need(commit, "a commit"));
  };
  result.answer = conduct(
      *search, workers, one_by_one(trial), [&](const std::string& line) { result.log += line; }, remark);
  return result;
}

struct Case {
  const char* name;
  HistoryShape shape;
  std::size_t workers = 1;
  double wrong = 0;
  double flaky = 0;
  bool all = false;
  std::uint64_t seed = 5;
  std::size_t broken_before_culprit = 0;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class Golden : public ::testing::TestWithParam<Case> {
 protected:
  Golden() : made(GetParam().shape, GetParam().seed), options(made.options()) {
    options.all = GetParam().all;
    const std::size_t count = GetParam().broken_before_culprit;
    if (count > 0) made.break_commits(made.changers().front() - count, count);
  }
  Logged run() {
    FlakyTrials trials(made, 1, GetParam().wrong, GetParam().flaky);
    return search_and_log(
        made, options, [&](const std::string& commit) { return trials(commit); }, GetParam().workers);
  }
  MadeHistory made;
  SearchOptions options;
};

TEST_P(Golden, TranscriptIsAsItWas) {
  const std::string path = std::string(SAMESTEP_TESTDATA) + "/" + GetParam().name + ".log";
  const Logged logged = run();
  std::ostringstream text;
  text << logged.log << "\n" << logged.answer;
  if (std::getenv("SAMESTEP_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text.str();
  std::stringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), golden.str()) << path << " differs; see the top of this file";
}

// Killed after any byte of the log, the search goes on where it was, and its whole log is the same.
TEST_P(Golden, GoesOnAfterEveryLine) {
  const Logged whole = run();
  for (std::size_t cut = whole.log.find("\n", whole.log.find(" start ")) + 1; cut < whole.log.size(); cut += 37) {
    const Transcript transcript = read_transcript(whole.log.substr(0, cut), "the log");
    ASSERT_LE(transcript.size, cut);
    std::string log = whole.log.substr(0, transcript.size);
    const std::unique_ptr<RevisionSearch> search = make_search(made.history(), options);
    const std::size_t told = resume(*search, transcript, "the log");
    // The answers not replayed, in the order in which they were given: a trial is never made again.
    FlakyTrials trials(made, 1, GetParam().wrong, GetParam().flaky);
    for (const auto& round : transcript.rounds) {
      for (const auto& [question, answer] : round.answers) static_cast<void>(trials(question.commit));
    }
    const auto trial = one_by_one([&](const std::string& commit) { return trials(commit); });
    const BisectAnswer answer =
        conduct(*search, GetParam().workers, trial, [&](const std::string& line) { log += line; });
    EXPECT_EQ(to_json(answer), to_json(whole.answer)) << "cut at " << cut << ", " << told << " answers replayed";
    EXPECT_EQ(read_transcript(log, "the new log").rounds.size(), answer.rounds);
  }
}

INSTANTIATE_TEST_SUITE_P(Searches, Golden,
                         ::testing::Values(Case{"linear", {.commits = 20}},
                                           Case{"merges", {.commits = 60, .merges = 0.3}},
                                           Case{"untestable", {.commits = 40}, 1, 0, 0, false, 7, 6},
                                           Case{"flaky", {.commits = 20}, 1, 0.2, 0.1},
                                           Case{"three_workers", {.commits = 100}, 3},
                                           Case{"every_change", {.commits = 12, .changes = 3}, 4, 0, 0, true}),
                         [](const auto& one) { return std::string(one.param.name); });

struct Broken {
  std::string from, to, message;
};

void PrintTo(const Broken& broken, std::ostream* out) {
  *out << broken.message;
}

class BrokenLog : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenLog, IsRefusedWithItsLine) {
  const MadeHistory made({.commits = 20}, 5);
  const auto trial = [&](const std::string& commit) { return made.truth(commit); };
  std::string log = search_and_log(made, made.options(), trial, 1).log;
  const std::size_t at = log.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  log.replace(at, GetParam().from.size(), GetParam().to);
  try {
    const std::unique_ptr<RevisionSearch> search = make_search(made.history(), made.options());
    resume(*search, read_transcript(log, "bisect.log"), "bisect.log");
    FAIL() << "accepted";
  } catch (const BrokenInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("bisect.log"));
    EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Edits, BrokenLog,
    ::testing::Values(
        Broken{"log 1", "log 2", ":1: the first line"}, Broken{"log 1\n", "log 1 \n", "a space at the end"},
        Broken{"bisect start ", "bisect starts ", "second line"},
        Broken{"--max-trials 2000", "--max-trials 9", "other options"},
        Broken{"--max-trials 2000", "--max-trials 02000", "is no number"},
        Broken{"ask 1", "ask 0", "number of workers"}, Broken{"ask 1", "ask 99999999999999999999", "is no number"},
        Broken{"bisect same", "bisect tame", "neither `ask` nor an answer"},
        Broken{"--trial 0", "--trial 1", "which the search does not ask"},
        Broken{"--trial 0", "--trial -1", "is no number"}, Broken{"--steps 40", "--stops 40", "--steps is missing"},
        Broken{"--lane gradients", "--lane ingredients", "there is no such lane"},
        Broken{"\"head.weight\"", "\"head.weight", "something follows a text"},
        Broken{"\"head.weight\"", "\"head.\\u0077eight\"", "not written as it would be"},
        Broken{"\"head.weight\"", "\"head.weight\" --tensor \"x\"", "something follows"},
        Broken{"bisect same ", "bisect same 00", "is no commit id"}));

TEST(BrokenLogs, OfOtherHistoriesAreRefused) {
  const MadeHistory made({.commits = 20}, 5);
  const auto trial = [&](const std::string& commit) { return made.truth(commit); };
  std::string log = search_and_log(made, made.options(), trial, 1).log;
  // One round less: the answers no longer fit the questions.
  const std::size_t first = log.find("samestep bisect ask");
  const std::size_t second = log.find("samestep bisect ask", first + 1);
  log.erase(first, second - first);
  const std::unique_ptr<RevisionSearch> search = make_search(made.history(), made.options());
  EXPECT_THROW(resume(*search, read_transcript(log, "bisect.log"), "bisect.log"), BrokenInput);
  EXPECT_THROW(static_cast<void>(read_transcript("", "bisect.log")), BrokenInput);
  EXPECT_THROW(static_cast<void>(read_transcript(std::string(100'000, 'x') + "\n", "bisect.log")), BrokenInput);
}

TEST(Transcript, KeepsTextsOfAnyBytes) {
  const TrialQuestion question{std::string(40, 'a'), 3};
  TrialAnswer answer;
  answer.outcome = TrialOutcome::diverged;
  answer.tensor = "a \"b\"\\ \n\x01 # \xff --why";
  answer.why = std::string(10'000, 'w');
  const std::string line = log_answer(question, answer, [](const std::string&) { return "two\nlines"; });
  SearchOptions options;
  options.good = std::string(40, '0');
  options.bad = std::string(40, '1');
  const Transcript read = read_transcript(log_start(options) + "samestep bisect ask 1\n" + line, "log");
  ASSERT_EQ(read.rounds.at(0).answers.size(), 1u);
  EXPECT_EQ(read.rounds[0].answers[0].first, question);
  EXPECT_EQ(read.rounds[0].answers[0].second.tensor, "a \"b\"\\ \n\x01 # \xef\xbf\xbd --why");
  EXPECT_EQ(read.rounds[0].answers[0].second.why.size(), 4096u);
}

}  // namespace
}  // namespace samestep
