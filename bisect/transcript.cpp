#include "bisect/transcript.h"

#include <algorithm>
#include <charconv>

#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/run/strict_json.h"

namespace samestep {
namespace {

constexpr std::string_view program = "samestep bisect ";
constexpr std::size_t max_line = 1024 * 1024;  // a command may be long
constexpr std::size_t max_text = 4096;         // of a tensor's label, a reason: longer ones are cut as they are written
constexpr std::size_t max_workers = 100'000;

// As a JSON string of at most max_text bytes before it is quoted, cut where a character ends.
std::string quoted(const std::string& text) {
  const std::string whole = parse_json(json_dump(text.substr(0, max_text)), "a text").get<std::string>();
  std::size_t end = std::min(whole.size(), max_text);
  while (end > 0 && end < whole.size() && (static_cast<unsigned char>(whole[end]) & 0xc0) == 0x80) --end;
  return json_dump(whole.substr(0, end));
}

std::string remark_of(const std::string& commit, const CommitRemark& remark) {
  const std::string text = remark ? printable(remark(commit)) : "";
  return "[" + commit + "]" + (text.empty() ? "" : " " + text) + "\n";
}

// Takes one line apart, word by word.
class Line {
 public:
  Line(std::string_view text, std::string where) : rest_(text), where_(std::move(where)) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw BrokenInput(where_ + ": " + why + ": this is no log of samestep bisect, or it was changed");
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] const std::string& where() const { return where_; }

  bool take(std::string_view expected) {
    if (rest_.substr(0, expected.size()) != expected) return false;
    const std::string_view after = rest_.substr(expected.size());
    if (!after.empty() && after.front() != ' ') return false;
    rest_ = after.empty() ? after : after.substr(1);
    if (!after.empty() && rest_.empty()) refuse("a space at the end");
    return true;
  }
  std::string_view word() {
    const std::string_view found = rest_.substr(0, rest_.find(' '));
    if (found.empty()) refuse("a word is missing");
    static_cast<void>(take(found));
    return found;
  }
  std::string commit() {
    const std::string_view id = word();
    if (!is_object_id(id)) refuse('"' + printable(id.substr(0, 80)) + "\" is no commit id");
    return std::string(id);
  }
  std::uint64_t number(std::uint64_t most = ~std::uint64_t{0}) {
    const std::string_view digits = word();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool padded = digits.size() > 1 && digits.front() == '0';
    if (error != std::errc{} || end != digits.data() + digits.size() || padded || value > most) {
      refuse('"' + printable(digits.substr(0, 40)) + "\" is no number that could stand here");
    }
    return value;
  }
  // A JSON string, to its closing quote.
  std::string text() {
    std::size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    if (rest_.empty() || rest_.front() != '"' || end >= rest_.size()) refuse("a text in quotes is missing");
    const std::string_view found = rest_.substr(0, end + 1);
    const std::string value = parse_json(found, where_).get<std::string>();
    if (quoted(value) != found) refuse("a text is not written as it would be");
    if (!take(found)) refuse("something follows a text");
    return value;
  }

  // A JSON object, to the line's end.
  nlohmann::json object() {
    nlohmann::json value = parse_json(rest_, where_);
    if (!value.is_object() || json_dump(value) != rest_) refuse("the settings are not written as they would be");
    rest_ = {};
    return value;
  }

 private:
  std::string_view rest_;
  std::string where_;
};

SearchOptions read_start(Line& line) {
  if (!line.take("start")) line.refuse("the second line has to be `samestep bisect start`");
  SearchOptions options;
  options.bad = line.commit();
  options.good = line.commit();
  options.first_parent = line.take("--first-parent");
  options.all = line.take("--all");
  options.assume_monotone = line.take("--assume-monotone");
  if (!line.take("--max-trials")) line.refuse("--max-trials is missing");
  options.max_trials = line.number();
  if (!line.at_end()) line.refuse("something follows --max-trials");
  return options;
}

std::optional<TrialOutcome> read_outcome(Line& line) {
  for (const TrialOutcome outcome :
       {TrialOutcome::same, TrialOutcome::diverged, TrialOutcome::flaky, TrialOutcome::untestable}) {
    if (line.take(name(outcome))) return outcome;
  }
  return std::nullopt;
}

std::pair<TrialQuestion, TrialAnswer> read_answer(Line& line, TrialOutcome outcome) {
  TrialQuestion question;
  TrialAnswer answer;
  answer.outcome = outcome;
  question.commit = line.commit();
  if (!line.take("--trial")) line.refuse("--trial is missing");
  question.repetition = static_cast<std::uint32_t>(line.number(~std::uint32_t{0}));
  if (!line.take("--steps")) line.refuse("--steps is missing");
  answer.steps_replayed = line.number(std::uint64_t{1} << 48);
  if (line.take("--step")) answer.step = line.number();
  if (line.take("--lane")) {
    answer.lane = lane_from_name(line.word());
    if (!answer.lane) line.refuse("there is no such lane");
  }
  if (line.take("--tensor")) answer.tensor = line.text();
  if (line.take("--behaviour")) answer.behaviour = line.text();
  if (line.take("--why")) answer.why = line.text();
  if (!line.at_end()) line.refuse("something follows the answer");
  return {question, answer};
}

// Before the window a replay can part (in the steps on the way to it), after it none.
void need_in_window(const Line& line, const TrialAnswer& answer, const std::optional<LoggedWindow>& window) {
  if (window && answer.step.value_or(window->from) >= window->to)
    line.refuse("step " + std::to_string(*answer.step) + " lies after the window, which ends before step " +
                std::to_string(window->to));
}

LoggedWindow read_window(Line& line) {
  LoggedWindow window{line.number(), line.number(), ""};
  if (!line.at_end()) window.assumption = line.text();
  if (window.from >= window.to || !line.at_end()) line.refuse("`window` takes the first step and one past the last");
  return window;
}

void read_line(Line& line, std::size_t count, Transcript& transcript) {
  if (!line.take("samestep") || !line.take("bisect")) line.refuse("a line has to begin with `samestep bisect`");
  if (count == 0) {
    if (!line.take("log 1") || !line.at_end()) line.refuse("the first line has to be `samestep bisect log 1`");
  } else if (count == 1) {
    transcript.options = read_start(line);
  } else if (transcript.rounds.empty() && transcript.trials.is_null() && line.take("trials")) {
    transcript.trials = line.object();
  } else if (transcript.rounds.empty() && !transcript.window && line.take("window")) {
    transcript.window = read_window(line);
    transcript.window_at = line.where();
  } else if (line.take("ask")) {
    if (!transcript.trials.is_null() && !transcript.window) line.refuse("`window` is missing before the first `ask`");
    transcript.rounds.push_back({line.number(max_workers), {}});
    if (transcript.rounds.back().workers == 0 || !line.at_end()) line.refuse("`ask` takes the number of workers");
  } else if (const std::optional<TrialOutcome> outcome = read_outcome(line); outcome && !transcript.rounds.empty()) {
    transcript.rounds.back().answers.push_back(read_answer(line, *outcome));
    need_in_window(line, transcript.rounds.back().answers.back().second, transcript.window);
  } else {
    line.refuse("neither `ask` nor an answer to one");
  }
}

}  // namespace

std::string log_start(const SearchOptions& options) {
  std::string text = std::string(program) + "log 1\n# bad: [" + options.bad + "]\n# good: [" + options.good + "]\n";
  text += std::string(program) + "start " + options.bad + " " + options.good;
  if (options.first_parent) text += " --first-parent";
  if (options.all) text += " --all";
  if (options.assume_monotone) text += " --assume-monotone";
  return text + " --max-trials " + std::to_string(options.max_trials) + "\n";
}

std::string log_trials(const nlohmann::json& settings) {
  return std::string(program) + "trials " + json_dump(settings) + "\n";
}

std::string log_window(const LoggedWindow& window) {
  return std::string(program) + "window " + std::to_string(window.from) + " " + std::to_string(window.to) +
         (window.assumption.empty() ? "" : " " + quoted(window.assumption)) + "\n";
}

std::string log_round(const RevisionSearch& search, std::size_t workers, std::size_t questions) {
  return "# " + std::to_string(search.suspected()) + (search.suspected() == 1 ? " commit" : " commits") +
         " suspected, " + std::to_string(questions) + (questions == 1 ? " trial\n" : " trials\n") +
         std::string(program) + "ask " + std::to_string(workers) + "\n";
}

std::string log_answer(const TrialQuestion& question, const TrialAnswer& answer, const CommitRemark& remark) {
  std::string text = "# " + std::string(name(answer.outcome)) + ": " + remark_of(question.commit, remark);
  text += std::string(program) + std::string(name(answer.outcome)) + " " + question.commit;
  text += " --trial " + std::to_string(question.repetition) + " --steps " + std::to_string(answer.steps_replayed);
  if (answer.step) text += " --step " + std::to_string(*answer.step);
  if (answer.lane) text += " --lane " + std::string(name(*answer.lane));
  if (!answer.tensor.empty()) text += " --tensor " + quoted(answer.tensor);
  if (!answer.behaviour.empty()) text += " --behaviour " + quoted(answer.behaviour);
  if (!answer.why.empty()) text += " --why " + quoted(answer.why);
  return text + "\n";
}

std::string log_end(const BisectAnswer& answer, const CommitRemark& remark) {
  std::string text = "# " + std::string(name(answer.conclusion)) + (answer.why.empty() ? "" : ": " + answer.why) + "\n";
  if (answer.conclusion == Conclusion::culprit) {
    return "# first divergent commit: " + remark_of(answer.accused->commits.front(), remark);
  }
  for (const std::string& commit : answer.remaining)
    text += "# possible first divergent commit: " + remark_of(commit, remark);
  for (const BehaviourChange& change : answer.changes) {
    for (const std::string& commit : change.commits) {
      text += (change.proven ? "# changes behaviour: " : "# may change behaviour: ") + remark_of(commit, remark);
    }
  }
  return text;
}

Transcript read_transcript(std::string_view text, const std::string& origin) {
  Transcript transcript;
  std::size_t number = 0;
  std::size_t count = 0;  // of lines that are no remarks
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const std::string_view content = text.substr(0, end);
    Line line(content, origin + ":" + std::to_string(++number));
    if (content.size() > max_line) line.refuse("a line of " + std::to_string(content.size()) + " bytes");
    if (content.empty() || content.front() != '#') read_line(line, count++, transcript);
    text.remove_prefix(end + 1);
  }
  if (count < 2) throw BrokenInput(origin + ": this is no log of samestep bisect: it does not say what is searched");
  return transcript;
}

KnownAnswers::KnownAnswers(const Transcript& transcript, const RevisionSearch& search, const std::string& origin) {
  if (transcript.options != search.options()) {
    throw BrokenInput(origin + ": the log is of a search between other revisions, or with other options");
  }
  for (const Transcript::Round& round : transcript.rounds) {
    for (const auto& [question, answer] : round.answers) {
      const std::string trial = "trial " + std::to_string(question.repetition) + " of " + question.commit;
      if (!search.history().find(question.commit))
        throw BrokenInput(origin + ": the log is of another history: it holds " + trial + ", which is not searched");
      if (!answers_.emplace(std::pair(question.commit, question.repetition), answer).second)
        throw BrokenInput(origin + ": the log answers " + trial + " twice");
      ++of_each_[question.commit];
    }
  }
}

std::string KnownAnswers::log_left(const CommitRemark& remark) const {
  if (answers_.empty()) return "";
  std::string text = "# not asked for yet, known from an earlier log\n" + std::string(program) + "ask 1\n";
  for (const auto& [trial, answer] : answers_) text += log_answer({trial.first, trial.second}, answer, remark);
  return text;
}

TrialRound KnownAnswers::before(TrialRound next) {
  return [this, next = std::move(next)](const std::vector<TrialQuestion>& questions, const auto& tell) {
    std::vector<TrialQuestion> others;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < questions.size(); ++i) {
      const auto known = answers_.find({questions[i].commit, questions[i].repetition});
      if (known == answers_.end()) {
        others.push_back(questions[i]);
        places.push_back(i);
        continue;
      }
      tell(i, known->second);
      answers_.erase(known);
    }
    if (others.empty()) return;
    next(others, [&](std::size_t i, const TrialAnswer& answer) { tell(places.at(i), answer); });
  };
}

BisectAnswer conduct(RevisionSearch& search, std::size_t workers, const TrialRound& run,
                     const std::function<void(const std::string&)>& log, const CommitRemark& remark) {
  for (;;) {
    const std::vector<TrialQuestion> questions = search.ask(workers);
    if (questions.empty()) break;
    log(log_round(search, workers, questions.size()));
    run(questions, [&](std::size_t i, const TrialAnswer& answer) {
      search.tell(questions.at(i), answer);
      log(log_answer(questions.at(i), answer, remark));
    });
    if (search.round_open()) throw BrokenInput("a round of trials ended without answering each of them");
  }
  BisectAnswer answer = search.answer();
  log(log_end(answer, remark));
  return answer;
}

}  // namespace samestep
