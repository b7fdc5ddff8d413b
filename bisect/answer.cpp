#include "bisect/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "replay/run/printable.h"

namespace samestep {
namespace {

using nlohmann::json;

json or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}

json described(const std::string& commit, const DescribeCommit& describe) {
  json result{{"commit", commit}, {"author", nullptr}, {"date", nullptr}, {"subject", nullptr}, {"signature", nullptr}};
  if (describe) result.update(describe(commit));
  return result;
}

json where(const BehaviourChange& change) {
  return {{"step", change.step ? json(*change.step) : json(nullptr)},
          {"lane", change.lane ? json(name(*change.lane)) : json(nullptr)},
          {"tensor", or_null(change.tensor)}};
}

json change_json(const BehaviourChange& change, const DescribeCommit& describe) {
  json result = where(change);
  result["proven"] = change.proven;
  result["behaviour_before"] = or_null(change.behaviour_before);
  result["behaviour_after"] = or_null(change.behaviour_after);
  for (const std::string& commit : change.commits) result["commits"].push_back(described(commit, describe));
  return result;
}

json flakiness_json(const Flakiness& flakiness) {
  return {{"error_rate", flakiness.error_rate},
          {"wrong_accusation", flakiness.wrong_accusation},
          {"flaky_answers", flakiness.flaky_answers},
          {"contradictions", flakiness.contradictions},
          {"repeated", flakiness.repeated}};
}

std::string percent(double share) {
  return fmt::format("{:.2g}%", 100 * share);
}

void print_where(std::ostream& out, std::string_view what, const BehaviourChange& change) {
  if (!change.step) return;
  out << "  " << what << ' ' << *change.step;
  if (change.lane) out << ", lane " << name(*change.lane);
  if (!change.tensor.empty()) out << ", tensor " << printable(change.tensor);
  out << '\n';
}

void print_list(std::ostream& out, std::string_view title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  out << title << '\n';
  for (const std::string& line : lines) out << "  " << printable(line) << '\n';
}

void print_headline(std::ostream& out, const BisectAnswer& answer) {
  switch (answer.conclusion) {
    case Conclusion::culprit:
      out << "culprit: " << answer.accused->commits.front() << '\n';
      return;
    case Conclusion::several:
      out << answer.remaining.size() << (answer.remaining.size() == 1 ? " commit remains" : " commits remain") << '\n';
      return;
    case Conclusion::changes:
      out << answer.changes.size() << (answer.changes.size() == 1 ? " change" : " changes") << " of behaviour\n";
      return;
    case Conclusion::unchanged:
      out << "no commit changes behaviour\n";
      return;
    case Conclusion::end_not_as_claimed:
      out << "an end is not as claimed\n";
      return;
    case Conclusion::flaky:
      out << "flaky\n";
      return;
    case Conclusion::untestable:
      out << "untestable\n";
      return;
  }
}

void print_changes(std::ostream& out, const BisectAnswer& answer) {
  if (answer.accused) print_where(out, "first divergent step", *answer.accused);
  for (const BehaviourChange& change : answer.changes) {
    print_list(out, change.commits.size() > 1 ? "one or more of:" : "changed by:", change.commits);
    // What a commit changed is another thing: it is compared with the run, as all of them are.
    print_where(out, "with it training first differs from the run at step", change);
    if (!change.step && change.proven) out << "  with it training does what the run did\n";
  }
}

}  // namespace

std::string_view name(Conclusion conclusion) {
  switch (conclusion) {
    case Conclusion::culprit:
      return "culprit";
    case Conclusion::several:
      return "several";
    case Conclusion::changes:
      return "changes";
    case Conclusion::unchanged:
      return "unchanged";
    case Conclusion::end_not_as_claimed:
      return "end_not_as_claimed";
    case Conclusion::flaky:
      return "flaky";
    case Conclusion::untestable:
      return "untestable";
  }
  return "untestable";
}

int exit_code(const BisectAnswer& answer) {
  constexpr int found = 0, nothing_builds = 2, open = 3;
  const auto proven = [](const BehaviourChange& change) { return change.proven; };
  switch (answer.conclusion) {
    case Conclusion::culprit:
      return found;
    case Conclusion::changes:
      return answer.unseen.empty() && std::all_of(answer.changes.begin(), answer.changes.end(), proven) ? found : open;
    case Conclusion::untestable:
      return nothing_builds;
    default:
      return open;
  }
}

json to_json(const BisectAnswer& answer, const DescribeCommit& describe) {
  json result = where(answer.accused.value_or(BehaviourChange{}));
  const bool one = answer.conclusion == Conclusion::culprit;
  result["conclusion"] = name(answer.conclusion);
  result["culprit"] = one ? described(answer.accused->commits.front(), describe) : json(nullptr);
  result["remaining"] = answer.remaining;
  result["changes"] = json::array();
  for (const BehaviourChange& change : answer.changes) result["changes"].push_back(change_json(change, describe));
  result["unseen"] = answer.unseen;
  result["trials"] = answer.trials;
  result["untestable"] = answer.untestable;
  result["rounds"] = answer.rounds;
  result["steps_replayed"] = answer.steps_replayed;
  result["flakiness"] = flakiness_json(answer.flakiness);
  result["why"] = or_null(answer.why);
  result["evidence"] = answer.evidence;
  result["assumptions"] = answer.assumptions;
  return result;
}

std::ostream& operator<<(std::ostream& out, const BisectAnswer& answer) {
  print_headline(out, answer);
  print_changes(out, answer);
  if (!answer.why.empty()) out << "  " << printable(answer.why) << '\n';
  print_list(out, "remaining:", answer.remaining);
  print_list(out, "could not be looked at:", answer.unseen);
  print_list(out, "because:", answer.evidence);
  out << answer.trials << " trials (" << answer.untestable << " untestable) in " << answer.rounds << " rounds, "
      << answer.steps_replayed << " steps replayed\n";
  out << "a trial is wrong with about " << percent(answer.flakiness.error_rate) << ", this answer with about "
      << percent(answer.flakiness.wrong_accusation) << " (" << answer.flakiness.flaky_answers << " flaky, "
      << answer.flakiness.contradictions << " contradicted, " << answer.flakiness.repeated << " repeated)\n";
  print_list(out, "assumed:", answer.assumptions);
  return out;
}

}  // namespace samestep
