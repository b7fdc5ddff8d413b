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
  std::size_t trials = 0;  // made, not taken from a log
};

CommitRemark numbers(const MadeHistory& made) {
  return [&](const std::string& commit) { return "Commit " + std::to_string(made.history().need(commit, "a commit")); };
}

std::size_t answers_in(const Transcript& transcript) {
  std::size_t count = 0;
  for (const auto& round : transcript.rounds) count += round.answers.size();
  return count;
}

Logged go_on(const MadeHistory& made, const SearchOptions& options, const Transcript& before, const Trial& trial,
             std::size_t workers) {
  Logged result;
  const std::unique_ptr<RevisionSearch> search = make_search(made.history(), options);
  KnownAnswers known(before, *search, "bisect.log");
  result.log = log_start(options);
  const auto counted = [&](const std::string& commit) {
    ++result.trials;
    return trial(commit);
  };
  result.answer = conduct(
      *search, workers, known.before(one_by_one(counted)), [&](const std::string& line) { result.log += line; },
      numbers(made));
  return result;
}

Logged search_and_log(const MadeHistory& made, const SearchOptions& options, const Trial& trial, std::size_t workers) {
  Logged result;
  const std::unique_ptr<RevisionSearch> search = make_search(made.history(), options);
  result.log = log_start(options);
  result.answer = conduct(
      *search, workers, one_by_one(trial), [&](const std::string& line) { result.log += line; }, numbers(made));
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

// Killed after any byte of the log, the search goes on where it was: no trial is made again, and its whole log is the
// same.
TEST_P(Golden, GoesOnAfterEveryLine) {
  const Logged whole = run();
  for (std::size_t cut = whole.log.find("\n", whole.log.find(" start ")) + 1; cut < whole.log.size(); cut += 37) {
    const Transcript transcript = read_transcript(whole.log.substr(0, cut), "the log");
    FlakyTrials trials(made, 1, GetParam().wrong, GetParam().flaky);
    for (const auto& round : transcript.rounds) {  // the dice go on where they were
      for (const auto& [question, answer] : round.answers) static_cast<void>(trials(question.commit));
    }
    const auto trial = [&](const std::string& commit) { return trials(commit); };
    const Logged again = go_on(made, options, transcript, trial, GetParam().workers);
    EXPECT_EQ(to_json(again.answer), to_json(whole.answer)) << "cut at " << cut;
    EXPECT_EQ(again.log, whole.log) << "cut at " << cut;
    EXPECT_EQ(again.trials + answers_in(transcript), whole.answer.trials) << "cut at " << cut;
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
    const KnownAnswers known(read_transcript(log, "bisect.log"), *search, "bisect.log");
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
        Broken{"bisect same", "bisect tame", "neither `ask` nor an answer"}, Broken{"--trial 1", "--trial 0", "twice"},
        Broken{"ask 1", "window 3 3", "one past the last"}, Broken{"ask 1", "window 0 9 9", "text in quotes"},
        Broken{"ask 1", "trials {\"a\": 1}", "not written"}, Broken{"ask 1", "trials [1]", "not written"},
        Broken{"ask 1", "trials {", "bisect.log:6"}, Broken{"--trial 0", "--trial -1", "is no number"},
        Broken{"--steps 40", "--stops 40", "--steps is missing"},
        Broken{"--lane gradients", "--lane ingredients", "there is no such lane"},
        Broken{"\"head.weight\"", "\"head.weight", "something follows a text"},
        Broken{"\"head.weight\"", "\"head.\\u0077eight\"", "not written as it would be"},
        Broken{"\"head.weight\"", "\"head.weight\" --tensor \"x\"", "something follows"},
        Broken{"bisect same ", "bisect same 00", "is no commit id"}));

TEST(BrokenLogs, OfOtherHistoriesAreRefused) {
  const MadeHistory made({.commits = 20}, 5), other({.commits = 20}, 6);
  const auto trial = [&](const std::string& commit) { return made.truth(commit); };
  Transcript transcript = read_transcript(search_and_log(made, made.options(), trial, 1).log, "bisect.log");
  transcript.options = other.options();
  const std::unique_ptr<RevisionSearch> search = make_search(other.history(), other.options());
  EXPECT_THROW(KnownAnswers(transcript, *search, "bisect.log"), BrokenInput);
  EXPECT_THROW(static_cast<void>(read_transcript("", "bisect.log")), BrokenInput);
  EXPECT_THROW(static_cast<void>(read_transcript(std::string(2'000'000, 'x') + "\n", "bisect.log")), BrokenInput);
}

// As users of git do with its log: whatever line is taken out, the search comes to the same answer, and makes the
// trials that it misses, those alone.
TEST(BrokenLogs, WithAnAnswerAfterTheWindowOrWithoutAWindowAreRefused) {
  SearchOptions options;
  options.good = std::string(40, '0');
  options.bad = std::string(40, '1');
  TrialAnswer answer;
  answer.outcome = TrialOutcome::diverged;
  answer.step = 13;
  const std::string start = log_start(options) + log_trials(nlohmann::json::object()), ask = "samestep bisect ask 1\n";
  const std::string line = log_answer({options.bad, 0}, answer);
  const auto refusal = [](const std::string& log) -> std::string {
    try {
      static_cast<void>(read_transcript(log, "bisect.log"));
    } catch (const BrokenInput& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(start + log_window({3, 14, ""}) + ask + line), "");
  EXPECT_THAT(refusal(start + log_window({3, 13, ""}) + ask + line),
              HasSubstr("bisect.log:9: step 13 lies after the window, which ends before step 13"));
  EXPECT_THAT(refusal(start + ask + line), HasSubstr("bisect.log:6: `window` is missing"));
}

TEST(EditedLogs, WithoutAnAnswerTheTrialIsMadeAgain) {
  const MadeHistory made({.commits = 40, .merges = 0.2}, 5);
  const auto trial = [&](const std::string& commit) { return made.truth(commit); };
  const Logged whole = search_and_log(made, made.options(), trial, 2);
  const Transcript all = read_transcript(whole.log, "bisect.log");
  for (std::size_t i = 0; i < all.rounds.size(); ++i) {
    Transcript edited = all;
    const std::size_t deleted = edited.rounds[i].answers.size();
    edited.rounds[i].answers.clear();
    const Logged again = go_on(made, made.options(), edited, trial, 2);
    EXPECT_EQ(again.log, whole.log);
    EXPECT_EQ(again.trials, deleted);
  }
}

TEST(EditedLogs, AWrongAnswerTakenOutLeadsNowhere) {
  const MadeHistory made({.commits = 40}, 5);
  const auto truth = [&](const std::string& commit) { return made.truth(commit); };
  const Logged right = search_and_log(made, made.options(), truth, 1);
  Transcript edited = read_transcript(right.log, "bisect.log");
  auto& wrong = edited.rounds.at(2).answers.at(0).second;
  wrong.outcome = wrong.outcome == TrialOutcome::same ? TrialOutcome::diverged : TrialOutcome::same;
  const Logged misled = go_on(made, made.options(), edited, truth, 1);
  EXPECT_NE(misled.log, right.log);
  Transcript taken_out = read_transcript(misled.log, "bisect.log");
  taken_out.rounds.at(2).answers.clear();
  const Logged again = go_on(made, made.options(), taken_out, truth, 1);
  EXPECT_EQ(to_json(again.answer), to_json(right.answer));
}

// Answers are facts whoever asked: one worker's log serves three.
TEST(EditedLogs, ServeAnotherNumberOfWorkers) {
  const MadeHistory made({.commits = 100}, 5);
  const auto trial = [&](const std::string& commit) { return made.truth(commit); };
  const Logged one = search_and_log(made, made.options(), trial, 1);
  const Logged three = go_on(made, made.options(), read_transcript(one.log, "bisect.log"), trial, 3);
  EXPECT_EQ(three.answer.accused->commits, one.answer.accused->commits);
  EXPECT_LT(three.trials, search_and_log(made, made.options(), trial, 3).answer.trials);
}

TEST(Transcript, SaysHowTrialsAreMadeAndWhichStepsTheyReplay) {
  SearchOptions options;
  options.good = std::string(40, '0');
  options.bad = std::string(40, '1');
  const nlohmann::json settings{{"command", {"sh", "a b"}}, {"run", "/tmp/\n"}};
  const Transcript read =
      read_transcript(log_start(options) + log_trials(settings) + log_window({3, 13, "alike \"before\""}), "log");
  EXPECT_EQ(read.trials, settings);
  EXPECT_EQ(read.window, (LoggedWindow{3, 13, "alike \"before\""}));
  EXPECT_TRUE(read_transcript(log_start(options), "log").trials.is_null());
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
