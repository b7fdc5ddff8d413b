#include "bisect/record_revision.h"

#include <fmt/format.h>

#include <set>

#include "bisect/build.h"
#include "replay/player/folder.h"
#include "replay/recorder/record.h"
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
  record.input_budget = 0;  // what it writes is thrown away: nothing will have to be put back
  Terminal terminal(wanted.say);
  RunRecorder recorder(record, terminal);
  Server server(recorder);
  Launch start{record.argv, record.cwd, recorder.environment(), wanted.folder / "record.txt", &view, wanted.limits};
  const auto listener = listen_for_files(recorder, server, start, terminal);
  Ending ending = launch_recorded(start, recorder, server, terminal, listener.get());
  recorder.close(ending);
  return ending;
}

fs::path path_of(const nlohmann::json& file) {
  const bool named = file.is_object() && file.contains("path") && file["path"].is_string();
  return named ? fs::path(file["path"].get<std::string>()).lexically_normal() : fs::path();
}

// What the program read beside the revision's own files: data. The digest of what a build has made is of what stands
// outside, where it may have been built from another revision.
nlohmann::json reads_beside(const nlohmann::json& reads, const Repository& repository, const std::string& commit,
                            bool built) {
  std::set<fs::path> tracked;
  for (const std::string& file : repository.tracked(commit)) tracked.insert(repository.root() / file);
  nlohmann::json kept = nlohmann::json::array();
  for (nlohmann::json file : reads) {
    const fs::path path = path_of(file);
    const bool is_gits = is_in(path, repository.git_folder()) || is_in(path, repository.common_folder());
    if (path.empty() || tracked.contains(path) || is_gits) continue;
    if (built && is_in(path, repository.root())) file["digest"] = nullptr;
    kept.push_back(std::move(file));
  }
  return kept;
}

nlohmann::json outside_of(const nlohmann::json& files, const Repository& repository) {
  nlohmann::json kept = nlohmann::json::array();
  for (const nlohmann::json& file : files)
    if (!is_in(path_of(file), repository.root())) kept.push_back(file);
  return kept;
}

// Outside stands another revision, and what this one wrote is gone.
void describe_the_revision(const Repository& repository, const std::string& commit, const RevisionRecording& wanted) {
  Manifest manifest = read_manifest(wanted.run);
  nlohmann::json& what = manifest.what;
  what["revision"] = {{"commit", commit}, {"top", repository.root().string()}, {"diff", ""}, {"diff_cut", false}};
  if (what.contains("files") && what["files"].is_array()) what["files"] = outside_of(what["files"], repository);
  what.erase("writes");
  if (what.contains("reads") && what["reads"].is_object() && what["reads"].value("files", nlohmann::json()).is_array())
    what["reads"]["files"] = reads_beside(what["reads"]["files"], repository, commit, !wanted.build.empty());
  write_manifest(wanted.run, manifest);
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
  if (ending.kind == Ending::Kind::not_started) {
    prepared.why = fmt::format("the program could not be started: {}", ending.error);
    return prepared;
  }
  describe_the_revision(repository, commit, wanted);
  prepared.asked_to_stop = ending.asked_to_stop;
  if (has_steps(wanted.run)) return prepared;
  prepared.why = fmt::format("no step was recorded: the program {}", ending.text());
  for (const std::string& line : last_lines(wanted.folder / "record.txt", 4)) prepared.why += "; " + printable(line);
  return prepared;
}

}  // namespace samestep
