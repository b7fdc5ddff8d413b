#include "bisect/record_revision.h"

#include <fmt/format.h>

#include "bisect/build.h"
#include "replay/player/folder.h"
#include "replay/recorder/run_recorder.h"
#include "replay/recorder/server.h"
#include "replay/run/error.h"
#include "replay/run/manifest.h"
#include "replay/run/printable.h"
#include "replay/run/run_reader.h"
#include "replay/view/places.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

ViewOptions view_for(const Repository& repository, const RevisionRecording& wanted) {
  ViewOptions options;
  options.cwd = wanted.cwd;
  options.folders = folders_of(repository);
  options.folders.insert(options.folders.end(), wanted.view.begin(), wanted.view.end());
  options.network = wanted.network;
  return options;
}

Ending record_in(View& view, const RevisionRecording& wanted) {
  RecordOptions record;
  record.argv = wanted.command;
  record.cwd = wanted.cwd;
  record.run = wanted.run;
  record.stop_after = wanted.steps;
  record.anchor_every = wanted.anchor_every;
  record.watch_files = false;  // outside stands another revision
  Terminal terminal(wanted.say);
  RunRecorder recorder(record, terminal);
  Server server(recorder);
  Launch start{record.argv, record.cwd, recorder.environment(), wanted.folder / "record.txt", &view, wanted.limits};
  Ending ending = launch(start, server);
  recorder.keep(asked_seeds(server.socket_path()));
  for (const std::string& failure : server.failures()) terminal.say_once(failure);
  recorder.close(ending);
  return ending;
}

bool is_of_the_checkout(const nlohmann::json& file, const Repository& repository) {
  return file.is_object() && file.contains("path") && file["path"].is_string() &&
         is_in(fs::path(file["path"].get<std::string>()).lexically_normal(), repository.root());
}

void name_the_revision(const Repository& repository, const std::string& commit, const fs::path& run) {
  Manifest manifest = read_manifest(run);
  manifest.what["revision"] = {
      {"commit", commit}, {"top", repository.root().string()}, {"diff", ""}, {"diff_cut", false}};
  if (manifest.what.contains("files") && manifest.what["files"].is_array()) {
    nlohmann::json kept = nlohmann::json::array();
    for (nlohmann::json& file : manifest.what["files"])
      if (!is_of_the_checkout(file, repository)) kept.push_back(std::move(file));
    manifest.what["files"] = std::move(kept);
  }
  write_manifest(run, manifest);
}

bool has_steps(const fs::path& run) {
  const RunReader reader(run);
  return reader.end_step() > reader.first_step();
}

}  // namespace

Prepared record_revision(const Repository& repository, const std::string& commit, const RevisionRecording& wanted) {
  std::error_code error;
  fs::create_directories(wanted.folder, error);
  if (error) throw BrokenInput(fmt::format("Creating {} failed: {}.", wanted.folder.string(), error.message()));
  View view(view_for(repository, wanted));
  Prepared prepared = prepare(view, repository, commit, wanted.build, wanted.build_limits, wanted.folder);
  if (!prepared.why.empty() || prepared.asked_to_stop != 0) return prepared;
  const Ending ending = record_in(view, wanted);
  name_the_revision(repository, commit, wanted.run);
  prepared.asked_to_stop = ending.asked_to_stop;
  if (has_steps(wanted.run)) return prepared;
  prepared.why = fmt::format("no step was recorded: the program {}", ending.text());
  for (const std::string& line : last_lines(wanted.folder / "record.txt", 4)) prepared.why += "; " + printable(line);
  return prepared;
}

}  // namespace samestep
