// A bisect's report as JUnit's cases.
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "bisect/bisect.h"
#include "bisect/trial_text.h"

namespace samestep {
namespace {

using Result = JUnitCase::Result;

constexpr std::size_t shown_digits = 12;

std::string text_of(const BisectReport& report) {
  std::ostringstream text;
  text << report;
  return text.str();
}

JUnitCase conclusion_case(const BisectReport& report) {
  const BisectAnswer& answer = report.answer;
  JUnitCase one{"conclusion", Result::failed, std::string(name(answer.conclusion)), answer.why, text_of(report)};
  if (answer.conclusion == Conclusion::culprit && !report.accused.empty())
    one.message =
        fmt::format("first divergent commit: {} {}", report.accused.front().id, report.accused.front().subject);
  if (one.message.empty()) one.message = one.type;
  if (answer.conclusion == Conclusion::unchanged) one.result = Result::passed;
  if (answer.conclusion == Conclusion::untestable || answer.conclusion == Conclusion::flaky ||
      answer.conclusion == Conclusion::end_not_as_claimed)
    one.result = Result::errored;
  return one;
}

const TrialAnswer* first_with(const TriedRevision& tried, TrialOutcome outcome) {
  const auto found = std::ranges::find(tried.answers, outcome, &TrialAnswer::outcome);
  return found == tried.answers.end() ? nullptr : &*found;
}

std::string message_of(const TrialAnswer& answer) {
  std::string text = outcome_and_step(answer);
  if (!answer.tensor.empty()) text += ", " + answer.tensor;
  return text + (answer.why.empty() ? "" : ": " + answer.why);
}

JUnitCase case_of(const TriedRevision& tried) {
  const TrialOutcome outcome = mostly(tried.answers);
  JUnitCase one{fmt::format("{} {}", tried.commit.id.substr(0, shown_digits), tried.commit.subject), Result::skipped,
                std::string(name(outcome)), "", ""};
  if (const TrialAnswer* answer = first_with(tried, outcome)) one.message = message_of(*answer);
  if (outcome == TrialOutcome::same) one.result = Result::passed;
  if (outcome == TrialOutcome::diverged) one.result = Result::failed;
  return one;
}

}  // namespace

std::vector<JUnitCase> junit_cases(const BisectReport& report) {
  std::vector<JUnitCase> cases{conclusion_case(report)};
  for (const TriedRevision& tried : report.tried) cases.push_back(case_of(tried));
  return cases;
}

}  // namespace samestep
