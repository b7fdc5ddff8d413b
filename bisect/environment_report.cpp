// What a search among the differences of two environments found, and how it says so.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "bisect/environment_bisect.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

using nlohmann::json;
using Conclusion = DeltaConclusion;

constexpr std::size_t most_listed = 20;

std::string described(const EnvironmentItem& item, const std::string& other) {
  const char* what = item.kind == EnvironmentItem::Kind::file ? "digest " : "";
  return fmt::format("{}: recorded {}{}, {} {}", item.name, what, item.recorded, other == "now" ? "now" : "there",
                     item.other);
}

std::string counted(const Tally& tally) {
  std::string text;
  const auto add = [&](std::uint32_t count, const char* word) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, word);
  };
  add(tally.same, "same");
  add(tally.diverged, "diverged");
  add(tally.flaky, "flaky");
  add(tally.untestable, "untestable");
  return text.empty() ? "not tried" : text;
}

const TriedSet* find_tried(const DeltaAnswer& answer, const ItemSet& in) {
  const auto found = std::ranges::find(answer.tried, in, &TriedSet::in);
  return found == answer.tried.end() ? nullptr : &*found;
}

// "with it as now, and every other item as recorded: 2 diverged"
std::vector<std::string> evidence_of(const EnvironmentReport& report) {
  const DeltaAnswer& answer = report.answer;
  const std::string as = report.other == "now" ? "as now" : "as there";
  std::vector<std::string> lines;
  const auto say = [&](const ItemSet& in, const std::string& what) {
    if (const TriedSet* tried = find_tried(answer, in)) lines.push_back(what + ": " + counted(tried->tally));
  };
  if (answer.set.empty()) {
    ItemSet all(report.items.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    if (!all.empty()) say(all, "with every item " + as);
    say({}, "with every item as recorded");
    return lines;
  }
  const bool one = answer.set.size() == 1;
  say(answer.set, fmt::format("with {} {}, and every other item as recorded", one ? "it" : "all of them", as));
  for (const std::size_t item : answer.set) {
    ItemSet less = answer.set;
    std::erase(less, item);
    say(less, fmt::format("with {} as recorded too", one ? "it" : report.items[item].name));
  }
  return lines;
}

std::string headline(const EnvironmentReport& report) {
  const std::size_t size = report.answer.set.size();
  const std::string of = fmt::format("{} of {} differences", size, report.items.size());
  switch (report.answer.conclusion) {
    case Conclusion::minimal:
      return fmt::format("cause: {}, proven: {}", of,
                         size == 1 ? "with it as recorded the run is reproduced"
                                   : "with any one of them as recorded the run is reproduced");
    case Conclusion::open:
      return fmt::format("not proven: {} make it diverge, not all of which may be needed", of);
    case Conclusion::reproduces:
      return report.other == "now" ? "this environment reproduces the run"
                                   : "the other run's environment reproduces it";
    case Conclusion::not_restored:
      return "not proven: what could be exchanged does not bring the run back";
    case Conclusion::flaky:
      return "flaky";
    case Conclusion::untestable:
      return "untestable";
  }
  return "untestable";
}

void print_list(std::ostream& out, std::string_view title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  out << title << '\n';
  for (std::size_t i = 0; i < std::min(lines.size(), most_listed); ++i) out << "  " << printable(lines[i]) << '\n';
  if (lines.size() > most_listed) out << fmt::format("  and {} more (--json has all)\n", lines.size() - most_listed);
}

std::vector<std::string> others_of(const EnvironmentReport& report) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < report.items.size(); ++i)
    if (std::ranges::find(report.answer.set, i) == report.answer.set.end())
      lines.push_back(described(report.items[i], report.other));
  return lines;
}

std::vector<std::string> accused_of(const EnvironmentReport& report) {
  std::vector<std::string> lines;
  for (const std::size_t item : report.answer.set) lines.push_back(described(report.items[item], report.other));
  return lines;
}

std::vector<std::string> kept_of(const EnvironmentReport& report) {
  std::vector<std::string> lines;
  for (const KeptDifference& kept : report.kept) lines.push_back(fmt::format("{} ({})", kept.what, kept.why));
  return lines;
}

std::vector<std::string> limits_of(const EnvironmentReport& report) {
  std::vector<std::string> lines;
  if (report.answer.conclusion != Conclusion::minimal) return lines;
  lines.emplace_back(
      "that it is the only such set: it is minimal (each of its items is needed), others may be as well");
  if (report.answer.others_diverge)
    lines.emplace_back("that nothing else changed the training: all other differences without these diverge as well");
  return lines;
}

json item_json(const EnvironmentItem& item) {
  json result{{"kind", item.kind == EnvironmentItem::Kind::file ? "file" : "variable"},
              {"name", item.name},
              {"recorded", item.recorded},
              {"other", item.other},
              {"paths", json::array()}};
  for (const auto& place : item.places) result["paths"].push_back(place.string());
  return result;
}

json tried_json(const TriedSet& tried, const std::vector<EnvironmentItem>& items) {
  json result{{"exchanged", json::array()},
              {"same", tried.tally.same},
              {"diverged", tried.tally.diverged},
              {"flaky", tried.tally.flaky},
              {"untestable", tried.tally.untestable}};
  for (const std::size_t item : tried.in) result["exchanged"].push_back(items[item].name);
  return result;
}

void add_place(json& result, const std::optional<TrialAnswer>& divergence) {
  result["step"] = divergence && divergence->step ? json(*divergence->step) : json(nullptr);
  result["lane"] = divergence && divergence->lane ? json(name(*divergence->lane)) : json(nullptr);
  result["tensor"] = divergence && !divergence->tensor.empty() ? json(divergence->tensor) : json(nullptr);
}

}  // namespace

int exit_code(const EnvironmentReport& report) {
  constexpr int proven = 0, open = 3;
  return report.answer.conclusion == Conclusion::minimal ? proven : open;
}

json to_json(const EnvironmentReport& report) {
  const DeltaAnswer& answer = report.answer;
  json result{{"conclusion", name(answer.conclusion)},
              {"other", report.other},
              {"cause", json::array()},
              {"items", json::array()},
              {"kept", json::array()},
              {"tried", json::array()},
              {"suspects", accused_of(report)},
              {"others_diverge", answer.others_diverge},
              {"trials", answer.trials},
              {"untestable", answer.untestable},
              {"steps_replayed", answer.steps_replayed},
              {"wrong_accusation", answer.wrong_accusation},
              {"why", answer.why.empty() ? json(nullptr) : json(answer.why)},
              {"evidence", evidence_of(report)},
              {"limits", limits_of(report)},
              {"folder", report.folder.string()}};
  add_place(result, answer.divergence);
  for (const std::size_t item : answer.set) result["cause"].push_back(item_json(report.items[item]));
  for (const EnvironmentItem& item : report.items) result["items"].push_back(item_json(item));
  for (const KeptDifference& kept : report.kept) result["kept"].push_back({{"what", kept.what}, {"why", kept.why}});
  for (const TriedSet& tried : answer.tried) result["tried"].push_back(tried_json(tried, report.items));
  return result;
}

std::ostream& operator<<(std::ostream& out, const EnvironmentReport& report) {
  const DeltaAnswer& answer = report.answer;
  out << headline(report) << '\n';
  for (const std::string& line : accused_of(report)) out << "  " << printable(line) << '\n';
  if (answer.divergence && answer.divergence->step) {
    out << "  first divergent step " << *answer.divergence->step;
    if (answer.divergence->lane) out << ", lane " << name(*answer.divergence->lane);
    if (!answer.divergence->tensor.empty()) out << ", tensor " << printable(answer.divergence->tensor);
    out << '\n';
  }
  if (!answer.why.empty()) out << "  " << printable(answer.why) << '\n';
  print_list(out, "because:", evidence_of(report));
  print_list(out, answer.set.empty() ? "exchanged:" : "differ too, and are not needed for it:", others_of(report));
  print_list(out, "could not be exchanged, and stood as they are:", kept_of(report));
  print_list(out, "not proven by this:", limits_of(report));
  out << answer.trials << " trials (" << answer.untestable << " untestable), " << answer.steps_replayed
      << " steps replayed; their output is in " << (report.folder / "trials").string() << '\n';
  return out;
}

}  // namespace samestep
