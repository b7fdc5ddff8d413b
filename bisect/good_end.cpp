#include "bisect/good_end.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

EnvironmentBisectOptions options_for(const BisectOptions& options, const std::string& good) {
  EnvironmentBisectOptions wanted;
  wanted.run = *options.run;
  wanted.folder = options.folder / "around";
  wanted.replay = options.replay;
  wanted.good = good;
  wanted.repository = options.repository;
  wanted.build = options.build;
  wanted.build_limits = options.build_limits;
  return wanted;
}

// Of trials that were made: it is the other end that is not as claimed.
bool reproduces(const BisectReport& report, const std::string& good) {
  const auto of_good = [&](const TriedRevision& tried) { return tried.commit.id == good; };
  const auto found = std::ranges::find_if(report.tried, of_good);
  return found != report.tried.end() && mostly(found->answers) == TrialOutcome::same;
}

}  // namespace

void look_around_the_good(BisectReport& report, const BisectOptions& options, const std::string& good) {
  BisectAnswer& answer = report.answer;
  const bool end = answer.conclusion == Conclusion::end_not_as_claimed || answer.conclusion == Conclusion::untestable;
  if (!end || !options.run || options.replay.in_place || reproduces(report, good)) return;
  if (options.slurm)
    answer.evidence.emplace_back(
        "what changed around the run was looked at on this machine, not on those of the trials");
  try {
    report.around = look_around(options_for(options, good));
  } catch (const BrokenInput& broken) {  // what was found stands
    answer.evidence.push_back(fmt::format("what changed around the run could not be looked at: {}", broken.what()));
  }
  if (!report.around.diverges) return;
  answer.conclusion = Conclusion::end_not_as_claimed;
  answer.why = fmt::format("the good revision no longer reproduces the run{}, so the cause is not a commit",
                           report.around.step ? fmt::format(" (from step {} on)", *report.around.step) : "");
}

void add_to_json(nlohmann::json& json, const ChangedAround& around) {
  json["suspects"] = around.diverges ? nlohmann::json(around.differences) : nlohmann::json::array();
  json["next"] = around.diverges ? nlohmann::json(around.next) : nlohmann::json();
}

std::ostream& operator<<(std::ostream& out, const ChangedAround& around) {
  if (!around.diverges) return out;
  out << (around.differences.empty() ? "\nnothing that a manifest holds differs from the recording\n"
                                     : "\ndiffers from the recording:\n");
  for (const std::string& difference : around.differences) out << "  " << printable(difference) << '\n';
  return out << "go on with: " << printable(around.next) << '\n';
}

}  // namespace samestep
