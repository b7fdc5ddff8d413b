// A bisect's report for people and programs.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "bisect/bisect.h"
#include "bisect/good_end.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

// What a commit's author wrote must not act on the reader's terminal.
std::string harmless_lines(const std::string& text) {
  std::string shown, piece;
  for (const char c : text) {
    if (c != '\n' && c != '\t') {
      piece += c;
      continue;
    }
    shown += printable(piece) + c;
    piece.clear();
  }
  return shown + printable(piece);
}

nlohmann::json to_json(const CommitDescription& commit) {
  return {{"author", commit.author},
          {"date", commit.date},
          {"subject", commit.subject},
          {"signature", commit.signature},
          {"signer", commit.signer}};
}

}  // namespace

nlohmann::json to_json(const BisectReport& report) {
  const auto describe = [&](const std::string& commit) -> nlohmann::json {
    const auto found = std::ranges::find(report.accused, commit, &CommitDescription::id);
    return found != report.accused.end() ? to_json(*found) : nlohmann::json::object();
  };
  nlohmann::json json = to_json(report.answer, describe);
  json["log"] = report.log.string();
  json["kept_answers"] = report.kept;
  json["logged_answers"] = report.logged;
  json["window"] = {{"from", report.window.from}, {"to", report.window.to}};
  json["diff"] = report.diff.text.empty() ? nlohmann::json() : nlohmann::json(report.diff.text);
  add_to_json(json, report.around);
  return json;
}

std::ostream& operator<<(std::ostream& out, const BisectReport& report) {
  out << report.answer << report.around;
  for (const CommitDescription& commit : report.accused) {
    out << fmt::format("\ncommit     {}\nauthor     {}\ndate       {}\nsignature  {}{}\n           {}\n", commit.id,
                       commit.author, commit.date, commit.signature,
                       commit.signer.empty() ? "" : " (" + commit.signer + ")", commit.subject);
  }
  if (!report.diff.text.empty())
    out << '\n' << harmless_lines(report.diff.text) << (report.diff.cut ? "... (it is longer)\n" : "");
  out << fmt::format("\ntrials replayed steps {} to {}{}\n", report.window.from, report.window.to - 1,
                     report.whole ? ", the whole run" : ": a revision that differs elsewhere only counts as the same");
  if (report.kept > 0)
    out << fmt::format("of these trials {} were made by earlier bisects (--fresh makes them again)\n", report.kept);
  if (report.logged > 0)
    out << fmt::format("of these trials {} were not made now: the log that this went on from answers them\n",
                       report.logged);
  return out << "\nlog        " << report.log.string() << '\n';
}

}  // namespace samestep
