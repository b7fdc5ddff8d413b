// The text form of a verdict: one screen, in the order in which a reader asks.
#include <fmt/format.h>

#include <ostream>

#include "replay/compare/verdict.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

constexpr std::size_t shown = 12;  // lines of a list; the JSON form has all of them

void row(std::ostream& out, std::string_view head, const std::string& text) {
  out << fmt::format("  {:<10} {}\n", head, printable(text));
}

void list(std::ostream& out, std::string_view head, const std::vector<std::string>& lines) {
  for (std::size_t i = 0; i < std::min(lines.size(), shown); ++i) row(out, i == 0 ? head : "", lines[i]);
  if (lines.size() > shown) row(out, "", fmt::format("... and {} more (--json lists all)", lines.size() - shown));
}

std::string headline(const Verdict& verdict) {
  std::string line{name(verdict.outcome)};
  if (verdict.cause) line += fmt::format(" ({})", name(*verdict.cause));
  if (verdict.outcome == Outcome::same) {
    return line + fmt::format(": {} step{} compared", verdict.steps_compared, verdict.steps_compared == 1 ? "" : "s");
  }
  if (!verdict.step) return line;
  line += fmt::format(": step {}", *verdict.step);
  if (verdict.lane) line += fmt::format(", {}", name(*verdict.lane));
  if (!verdict.tensor.empty()) line += fmt::format(", {}", verdict.tensor);
  if (!verdict.op.empty()) line += fmt::format(", operator {}", verdict.op);
  return line;
}

std::string sign(Lane lane, const LaneTally& tally) {
  const bool rarely_read = lane == Lane::state && tally.absent > 0;
  switch (tally.outcome()) {
    case LaneOutcome::equal:
      return rarely_read ? fmt::format("= (at {} step{})", tally.equal, tally.equal == 1 ? "" : "s") : "=";
    case LaneOutcome::differs:
      return "!=";
    case LaneOutcome::given:
      return "given";
    case LaneOutcome::partly:
      return fmt::format("partly ({} of {})", tally.compared(), tally.compared() + tally.missed());
    default:
      return "-";
  }
}

// "weights_in =  rng =  batch partly (10 of 40)": lanes that no step had are left out.
std::string lane_line(const LaneTallies& lanes) {
  std::string line;
  for (Lane lane : all_lanes) {
    const LaneTally& tally = lanes[static_cast<std::size_t>(lane)];
    if (tally.outcome() == LaneOutcome::not_compared) continue;
    line += fmt::format("{}{} {}", line.empty() ? "" : "  ", name(lane), sign(lane, tally));
  }
  return line;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Verdict& verdict) {
  out << printable(headline(verdict)) << '\n';
  if (verdict.outcome != Outcome::same && verdict.last_same_step) {
    row(out, "last same", fmt::format("step {} ({} compared)", *verdict.last_same_step, verdict.steps_compared));
  }
  if (const std::string lanes = lane_line(verdict.lanes); !lanes.empty()) row(out, "lanes", lanes);
  if (verdict.method != "exact") row(out, "method", verdict.method);
  list(out, "suspects", verdict.suspects);
  list(out, "because", verdict.evidence);
  if (!verdict.reproduce.empty()) row(out, "reproduce", verdict.reproduce);
  list(out, "not proven", verdict.limits);
  return out;
}

}  // namespace samestep
