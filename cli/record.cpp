// `samestep record -- COMMAND`: runs a training program and records every step of it.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "cli/answer.h"
#include "cli/numbers.h"
#include "cli/verbs.h"
#include "replay/player/command.h"
#include "replay/recorder/command_words.h"
#include "replay/recorder/provenance.h"
#include "replay/recorder/record.h"
#include "replay/recorder/run_directory.h"
#include "replay/run/error.h"
#include "replay/run/run_reader.h"
#include "replay/run/steering.h"
#include "replay/run/utc.h"

namespace samestep::cli {
namespace {

struct RecordArguments {
  RecordOptions options;
  std::string run;
  std::string json;  // file
  std::uint64_t anchor_budget = 0, log_budget = 0, input_budget = 0;
  bool strict = false, no_files = false;
};

nlohmann::json rank_json(const std::filesystem::path& path, std::uint32_t rank) {
  const RunReader run(path, rank);
  const bool empty = run.end_step() == run.first_step();
  return {{"rank", rank},
          {"first_step", run.first_step()},
          {"steps", run.end_step() - run.first_step()},
          {"chain", empty ? nlohmann::json() : nlohmann::json(run.chain(run.end_step() - 1).hex())}};
}

// What the last line says, for programs.
nlohmann::json summary(const std::filesystem::path& path, int exit_code) {
  nlohmann::json json{{"exit_code", exit_code}, {"run", nullptr}, {"ranks", nlohmann::json::array()}};
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return json;  // the command was not started
  const Manifest manifest = read_manifest(path);
  json["command_ended"] = manifest.what.value("command_ended", nlohmann::json());
  json["events"] = manifest.events.size();
  json["anchors"] = manifest.anchors.size();
  json["bytes"] = bytes_of_run(path);
  std::set<std::uint32_t> ranks;
  for (const SegmentEntry& segment : manifest.segments) ranks.insert(segment.rank);
  for (const std::uint32_t rank : ranks) json["ranks"].push_back(rank_json(path, rank));
  json["run"] = path.string();
  json["next"] = shell_words({"samestep", "replay", path.string()});
  return json;
}

// Of a run that was removed while it was recorded there is nothing to tell; the command has its exit code all the same.
nlohmann::json summary_or_error(const std::filesystem::path& path, int exit_code) {
  try {
    return summary(path, exit_code);
  } catch (const BrokenInput& error) {
    return {{"exit_code", exit_code}, {"run", nullptr}, {"ranks", nlohmann::json::array()}, {"error", error.what()}};
  }
}

// Standard output is the command's, so the object goes to a file; made before the start, so that a folder that is not
// there is told while nothing is lost.
std::ofstream open_json(const std::string& file) {
  if (file == "-") {
    throw BrokenInput("--json -: standard output belongs to the command. Name a file: --json FILE");
  }
  std::ofstream out(file);
  if (!out) throw BrokenInput(fmt::format("--json {}: it cannot be written", file));
  return out;
}

void write_json(std::ofstream& out, const nlohmann::json& json) {
  out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

// The object's place is known before the command starts, thus the run's.
int record_with_json(RecordOptions& options, const std::string& file) {
  std::ofstream out = open_json(file);
  try {
    if (options.run.empty()) options.run = make_default_run(options.cwd, program_name(options.argv), utc_now_ns());
    const std::filesystem::path path = std::filesystem::absolute(options.run).lexically_normal();
    const int code = record(options);
    write_json(out, summary_or_error(path, code));
    return code;
  } catch (const std::exception& error) {
    write_json(out, {{"exit_code", exit_usage}, {"error", error.what()}});
    throw;
  }
}

int run_record(RecordArguments& arguments, const CLI::App& verb) {
  RecordOptions& options = arguments.options;
  options.cwd = std::filesystem::current_path();
  options.run = arguments.run;
  if (verb.count("--anchor-budget") > 0) options.anchor_budget = arguments.anchor_budget;
  if (verb.count("--log-budget") > 0) options.log_budget = arguments.log_budget;
  if (verb.count("--input-budget") > 0) options.input_budget = arguments.input_budget;
  options.watch_files = !arguments.no_files && options.attached == 0;
  if (options.continue_run && options.run.empty()) throw BrokenInput("--continue needs the run to add to: --run DIR");
  // A pin like any other: the manifest keeps it, and a replay re-creates it.
  if (arguments.strict) ::setenv(strict_variable, "1", 1);
  return arguments.json.empty() ? record(options) : record_with_json(options, arguments.json);
}

void add_options(CLI::App* verb, RecordArguments& arguments) {
  RecordOptions& options = arguments.options;
  verb->add_option("--run", arguments.run, "run directory (default: samestep-runs/<UTC time>-<program>)");
  verb->add_flag("--continue", options.continue_run, "add to the run that is there already");
  verb->add_option("--anchor-every", options.anchor_every,
                   "cut an anchor at every multiple of N steps (default: as often as 1% of the time allows)");
  verb->add_option("--anchor-budget", arguments.anchor_budget,
                   "disk for all anchors, e.g. 20GB (default: 10 GiB, at most a tenth of the free disk)")
      ->transform(CLI::AsSizeValue(false));
  verb->add_option("--detail-every", options.detail_every,
                   "keep per-tensor detail of every K-th step only; a replay regenerates the rest")
      ->check(at_least_one());
  verb->add_option("--log-budget", arguments.log_budget,
                   "thin the detail of the steps that follow when the log passes this (default: 1 GiB)")
      ->transform(CLI::AsSizeValue(false));
  verb->add_option("--input-budget", arguments.input_budget,
                   "disk for copies of files that the program changes, kept for replays (default: 1 GiB)")
      ->transform(CLI::AsSizeValue(false));
  verb->add_flag("--no-files", arguments.no_files, "do not watch which files the program reads and writes");
  verb->add_flag("--strict", arguments.strict,
                 "what torch cannot do deterministically is an error, not a warning; a replay repeats that");
  verb->add_flag("--attached", options.attached,
                 "COMMAND runs already: tell it on standard output where to connect, until standard input ends "
                 "(samestep.record() of the Python package does this; =N: its N-th recording)");
  verb->add_option("--json", arguments.json, "write one JSON object to this file at the end")->type_name("FILE");
  verb->add_flag("--fresh-digests", options.fresh_digests, "read every file again, even those known unchanged");
  verb->add_option("COMMAND", options.argv, "after --: the program to run, and its arguments")->required();
}

}  // namespace

void add_record(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<RecordArguments>();
  CLI::App* verb = app.add_subcommand("record", "Run a training program and record every step of it");
  add_options(verb, *arguments);
  verb->footer(footer("samestep record --anchor-every 50 -- ./my_trainer --steps 200",
                      "the command's own; 128 + n if signal n killed it; 126, 127 if it cannot be started;\n"
                      "  2 usage or I/O: the recording cannot begin, the command was not started"));
  verb->callback(
      [arguments, verb, &exit_code] { exit_code = guarded(false, [&] { return run_record(*arguments, *verb); }); });
}

}  // namespace samestep::cli
