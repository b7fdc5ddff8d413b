#include "replay/compare/junit.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "replay/run/printable.h"

namespace samestep {
namespace {

using Result = JUnitCase::Result;

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// One line. Two characters of UTF-8 that are none of XML's are left after printable(): U+FFFE and U+FFFF.
std::string xml(std::string_view line) {
  std::string text = printable(line);
  replace_all(text, "\xef\xbf\xbe", "\\ufffe");
  replace_all(text, "\xef\xbf\xbf", "\\uffff");
  replace_all(text, "&", "&amp;");
  replace_all(text, "<", "&lt;");
  replace_all(text, ">", "&gt;");
  replace_all(text, "\"", "&quot;");
  replace_all(text, "'", "&apos;");
  return text;
}

std::string xml_lines(const std::string& text) {
  std::string result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) result += (result.empty() ? "" : "\n") + xml(line);
  return result;
}

std::string outcome_xml(const JUnitCase& one) {
  if (one.result == Result::skipped) return fmt::format("<skipped message=\"{}\"/>", xml(one.message));
  const char* tag = one.result == Result::failed ? "failure" : "error";
  return fmt::format("<{0} type=\"{1}\" message=\"{2}\">{3}</{0}>", tag, xml(one.type), xml(one.message),
                     xml_lines(one.text));
}

std::string case_xml(const JUnitSuite& suite, const JUnitCase& one) {
  const std::string start = fmt::format("    <testcase classname=\"{}\" name=\"{}\"", xml(suite.about), xml(one.name));
  if (one.result == Result::passed) return start + "/>\n";
  return fmt::format("{}>\n      {}\n    </testcase>\n", start, outcome_xml(one));
}

std::string place_in(const Verdict& verdict) {
  std::string text;
  if (verdict.step) text += fmt::format(" at step {}", *verdict.step);
  if (verdict.lane) text += fmt::format(" in {}", name(*verdict.lane));
  if (!verdict.tensor.empty()) text += ", " + verdict.tensor;
  return text;
}

std::string text_of(const Verdict& verdict) {
  std::ostringstream text;
  text << verdict;
  return text.str();
}

JUnitCase verdict_case(const Verdict& verdict, bool untestable) {
  JUnitCase one{"verdict", Result::failed, std::string(name(verdict.outcome)), "", text_of(verdict)};
  if (untestable) one.type = "untestable";
  one.message = one.type + place_in(verdict);
  if (verdict.outcome == Outcome::same) one.result = Result::passed;
  if (verdict.outcome == Outcome::incomparable || untestable) one.result = Result::errored;
  return one;
}

JUnitCase lane_case(Lane lane, const Verdict& verdict) {
  const LaneTally& tally = verdict.lanes[static_cast<std::size_t>(lane)];
  JUnitCase one{fmt::format("lane {}", name(lane)), Result::skipped, "", std::string(name(tally.outcome())), ""};
  if (tally.outcome() == LaneOutcome::equal) one.result = Result::passed;
  if (tally.outcome() == LaneOutcome::partly)
    one.message = fmt::format("equal at {} steps, not compared at {}", tally.equal, tally.missed());
  if (tally.outcome() != LaneOutcome::differs) return one;
  one.result = Result::failed;
  one.type = "differs";
  one.message =
      "differs" + (verdict.lane == lane ? place_in(verdict)
                                        : fmt::format(", after {}", verdict.lane ? name(*verdict.lane) : "another"));
  return one;
}

}  // namespace

std::string to_xml(const JUnitSuite& suite) {
  const auto count = [&](Result result) { return std::ranges::count(suite.cases, result, &JUnitCase::result); };
  const std::string counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\"", suite.cases.size(),
                                         count(Result::failed), count(Result::errored));
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  text += fmt::format("<testsuites {}>\n  <testsuite name=\"{}\" {} skipped=\"{}\">\n", counts, xml(suite.name), counts,
                      count(Result::skipped));
  for (const JUnitCase& one : suite.cases) text += case_xml(suite, one);
  return text + "  </testsuite>\n</testsuites>\n";
}

std::vector<JUnitCase> junit_cases(const Verdict& verdict, bool untestable) {
  std::vector<JUnitCase> cases{verdict_case(verdict, untestable)};
  for (std::size_t i = 0; i < lane_count; ++i) cases.push_back(lane_case(static_cast<Lane>(i), verdict));
  return cases;
}

}  // namespace samestep
