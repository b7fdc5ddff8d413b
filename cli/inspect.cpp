// `samestep inspect RUN`: what ran, how it ended, its loss, anchors and events. Works on a run that is still growing.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "cli/answer.h"
#include "cli/plot.h"
#include "cli/tensor_rows.h"
#include "cli/verbs.h"
#include "replay/player/command.h"
#include "replay/run/printable.h"
#include "replay/run/run_reader.h"

namespace samestep::cli {
namespace {

struct InspectOptions {
  std::string run;
  bool json = false;
  bool tensors = false;
  std::uint32_t rank = 0;
};

constexpr std::uint64_t max_points = 2000;  // of a curve: more than a terminal shows or a reader of JSON wants
constexpr std::size_t shown = 20;           // lines of a list on the screen; the JSON form has all

using Points = std::vector<RunReader::Point>;

// All steps, or max_points of them evenly spaced.
Points curve(const RunReader& run) {
  const std::uint64_t first = run.first_step();
  const std::uint64_t count = run.end_step() - first;
  if (count <= max_points) return run.points(first, run.end_step());
  Points points;
  for (std::uint64_t i = 0; i < max_points; ++i) {
    const std::uint64_t step = first + i * (count - 1) / (max_points - 1);
    for (const auto& point : run.points(step, step + 1)) points.push_back(point);
  }
  return points;
}

// Bytes on disk of the logs of `rank`.
std::uintmax_t log_bytes(const RunReader& run, std::uint32_t rank) {
  std::uintmax_t bytes = 0;
  for (const SegmentEntry& segment : run.manifest().segments) {
    if (segment.rank != rank || segment.file.empty()) continue;
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(run.path() / segment.file, error);
    if (!error) bytes += size;
  }
  return bytes;
}

double bytes_per_step(const RunReader& run, std::uint32_t rank) {
  const std::uint64_t steps = run.end_step() - run.first_step();
  return steps == 0 ? 0 : static_cast<double>(log_bytes(run, rank)) / static_cast<double>(steps);
}

// A segment that is still written holds more steps than its entry says. Other ranks' logs are not opened.
std::uint64_t steps_of(const RunReader& run, const SegmentEntry& segment) {
  if (segment.ended != "running" || segment.rank != run.rank() || segment.file.empty()) return segment.steps;
  return run.end_of_segment(segment.number).steps;
}

nlohmann::json segment_json(const RunReader& run, const SegmentEntry& segment) {
  return {{"rank", segment.rank},
          {"segment", segment.number},
          {"file", segment.file},
          {"first_step", segment.first_step},
          {"steps", steps_of(run, segment)},
          {"ended", effective_ending(run.manifest(), segment)},
          {"began", utc(segment.began_ns)},
          {"end", segment.ended_ns == 0 ? nlohmann::json() : nlohmann::json(utc(segment.ended_ns))}};
}

nlohmann::json anchor_json(const AnchorEntry& anchor) {
  return {{"step", anchor.step},
          {"rank", anchor.rank},
          {"file", anchor.file},
          {"bytes", anchor.bytes},
          {"digest", anchor.digest.hex()}};
}

nlohmann::json event_json(const Event& event) {
  return {{"utc", utc(event.utc_ns)},
          {"rank", event.rank},
          {"kind", event.kind},
          {"step", event.step ? nlohmann::json(*event.step) : nlohmann::json()},
          {"tensor", event.tensor.empty() ? nlohmann::json() : nlohmann::json(event.tensor)},
          {"text", event.text}};
}

nlohmann::json overlap_json(const RunReader::Overlap& overlap) {
  return {
      {"first_step", overlap.begin},
      {"steps", overlap.end - overlap.begin},
      {"earlier", overlap.earlier},
      {"later", overlap.later},
      {"first_difference", overlap.first_difference ? nlohmann::json(*overlap.first_difference) : nlohmann::json()}};
}

// Not a number where it is not one: JSON has no infinities.
nlohmann::json loss_json(const Points& points) {
  auto losses = nlohmann::json::array();
  for (const auto& point : points) {
    if (point.has_loss) losses.push_back({{"step", point.step}, {"loss", point.loss}});
  }
  return losses;
}

nlohmann::json tensors_json(const RunReader& run) {
  auto tensors = nlohmann::json::array();
  for (const TensorRow& row : tensor_rows(run)) tensors.push_back(to_json(row));
  return tensors;
}

nlohmann::json what_json(const RunReader& run, const char* key) {
  const auto& what = run.manifest().what;
  return what.is_object() && what.contains(key) ? what[key] : nlohmann::json();
}

nlohmann::json to_json(const RunReader& run, const InspectOptions& options) {
  const bool empty = run.end_step() == run.first_step();
  nlohmann::json json{{"run", run.path().string()},
                      {"run_id", run.manifest().run_id},
                      {"format_version", run.manifest().format_version},
                      {"argv", what_json(run, "argv")},
                      {"cwd", what_json(run, "cwd")},
                      {"rank", options.rank},
                      {"first_step", run.first_step()},
                      {"steps", run.end_step() - run.first_step()},
                      {"chain", empty ? nlohmann::json() : nlohmann::json(run.chain(run.end_step() - 1).hex())},
                      {"log_bytes", log_bytes(run, options.rank)},
                      {"bytes_per_step", bytes_per_step(run, options.rank)},
                      {"segments", nlohmann::json::array()},
                      {"overlaps", nlohmann::json::array()},
                      {"anchors", nlohmann::json::array()},
                      {"events", nlohmann::json::array()},
                      {"loss", loss_json(curve(run))}};
  for (const auto& segment : run.manifest().segments) json["segments"].push_back(segment_json(run, segment));
  for (const auto& overlap : run.overlaps()) json["overlaps"].push_back(overlap_json(overlap));
  for (const auto& anchor : run.manifest().anchors) json["anchors"].push_back(anchor_json(anchor));
  for (const auto& event : run.manifest().events) json["events"].push_back(event_json(event));
  if (options.tensors) json["tensors"] = tensors_json(run);
  return json;
}

// What a run holds came from elsewhere: no line of it may act on the terminal.
template <class... Values>
void line(fmt::format_string<Values...> format, Values&&... values) {
  std::cout << printable(fmt::format(format, std::forward<Values>(values)...)) << '\n';
}

// "; rank 1 has steps: --rank 1", where this one has none.
std::string other_ranks(const RunReader& run) {
  for (const SegmentEntry& segment : run.manifest().segments) {
    if (segment.rank != run.rank() && segment.steps > 0)
      return fmt::format("; rank {} has steps: --rank {}", segment.rank, segment.rank);
  }
  return "";
}

std::string command_of(const nlohmann::json& session) {
  const std::vector<std::string> words = recorded_command(session);
  return words.empty() ? "(unknown)" : shell_words(words);
}

void print_head(const RunReader& run, const InspectOptions& options) {
  const std::uint64_t steps = run.end_step() - run.first_step();
  line("run       {}", run.path().string());
  line("command   {}", command_of(run.manifest().what));
  if (const auto sessions = what_json(run, "continued"); sessions.is_array()) {
    for (const auto& session : sessions) line("continued {}", command_of(session));
  }
  if (const auto cwd = what_json(run, "cwd"); cwd.is_string()) {
    line("folder    {}", cwd.get<std::string>());
  }
  if (steps == 0) {
    line("steps     0 of rank {}: no session connected, or none finished a step{}", run.rank(), other_ranks(run));
    return;
  }
  line("steps     {} ({} to {}), {:.0f} bytes of log a step", steps, run.first_step(), run.end_step() - 1,
       bytes_per_step(run, options.rank));
  line("chain     {}", run.chain(run.end_step() - 1).hex());
}

void print_segments(const RunReader& run) {
  for (const SegmentEntry& segment : run.manifest().segments) {
    const std::string how = effective_ending(run.manifest(), segment);
    line("segment   rank {} segment {}: {} steps from {}, began {}, {}", segment.rank, segment.number,
         steps_of(run, segment), segment.first_step, utc(segment.began_ns), how == "running" ? "still running" : how);
  }
}

void print_overlaps(const RunReader& run) {
  for (const RunReader::Overlap& overlap : run.overlaps()) {
    const std::string how = overlap.first_difference
                                ? fmt::format("step {} is the first that differs", *overlap.first_difference)
                                : "every root is equal";
    line("twice     steps {} to {}, in segment {} and again in segment {}: {}", overlap.begin, overlap.end - 1,
         overlap.earlier, overlap.later, how);
  }
}

void print_anchors(const RunReader& run) {
  const auto& anchors = run.manifest().anchors;
  if (anchors.empty() && run.end_step() == run.first_step()) {
    line("anchors   none");
    return;
  }
  if (anchors.empty()) {
    line("anchors   none: a replay starts from step {}", run.first_step());
    return;
  }
  std::string steps;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    bytes += anchors[i].bytes;
    if (i < shown) steps += fmt::format(" {}", anchors[i].step);
  }
  if (anchors.size() > shown) steps += " ...";
  line("anchors   {} at steps{} ({:.1f} MB)", anchors.size(), steps, static_cast<double>(bytes) / 1e6);
}

void print_events(const RunReader& run) {
  const auto& events = run.manifest().events;
  for (std::size_t i = 0; i < std::min(events.size(), shown); ++i) {
    line("event     {}  {}{}: {}", utc(events[i].utc_ns), events[i].kind,
         events[i].step ? fmt::format(" at step {}", *events[i].step) : "", events[i].text);
  }
  if (events.size() > shown) line("          ... and {} more (--json)", events.size() - shown);
}

void print_loss(const RunReader& run) {
  std::vector<CurvePoint> points;
  std::size_t not_finite = 0;
  std::uint64_t first = 0;
  for (const auto& point : curve(run)) {
    if (!point.has_loss) continue;
    points.push_back({static_cast<double>(point.step), point.loss});
    if (std::isfinite(point.loss)) continue;
    if (not_finite == 0) first = point.step;
    ++not_finite;
  }
  if (not_finite > 0)
    line("loss      not finite at {} of {} steps looked at, first at step {}", not_finite, points.size(), first);
  const std::string text = plot(points, terminal_size());
  if (!text.empty()) std::cout << "loss\n" << text;
}

void print_tensors(const RunReader& run) {
  const std::vector<TensorRow> rows = tensor_rows(run);
  std::optional<std::uint64_t> last;
  for (const TensorRow& row : rows) last = std::max(last, row.step);
  if (last) line("tensors after step {}", *last);
  for (const TensorRow& row : rows) line("{}", text_of(row, last));
}

int run_inspect(const InspectOptions& options) {
  const RunReader run(options.run, options.rank);
  if (options.json) {
    print(to_json(run, options));
    return 0;
  }
  print_head(run, options);
  print_segments(run);
  print_overlaps(run);
  print_anchors(run);
  print_events(run);
  print_loss(run);
  if (options.tensors) print_tensors(run);
  std::cout << std::flush;
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* verb = app.add_subcommand("inspect", "Show what ran, how it ended, its loss, anchors and events");
  verb->add_option("RUN", options->run, "run directory")->required();
  verb->add_flag("--json", options->json, "one JSON object on standard output");
  verb->add_flag("--tensors", options->tensors, "list the tensors with their last statistics");
  verb->add_option("--rank", options->rank, "the process to show, of several");
  verb->footer(footer("samestep inspect --tensors samestep-runs/monday", "0 shown, 2 usage or I/O, 4 tampered"));
  verb->callback([options, &exit_code] { exit_code = guarded(options->json, [&] { return run_inspect(*options); }); });
}

}  // namespace samestep::cli
