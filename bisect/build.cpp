#include "bisect/build.h"

#include <fmt/format.h>

#include "bisect/trial_folder.h"
#include "replay/player/folder.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t shown_lines = 4;  // of a build that failed

std::string with_last_lines(std::string sentence, const fs::path& output) {
  for (const std::string& line : last_lines(output, shown_lines)) sentence += "; " + printable(line);
  return sentence;
}

// In a view the user's ccache can be read and not be written, over which it would fail the build; its temporary files
// go where a view takes them.
EnvironmentChanges environment_in(const Enclosure* enclosure) {
  if (enclosure == nullptr) return {};
  return {{"CCACHE_READONLY", "true"}, {"CCACHE_TEMPDIR", "/tmp"}};
}

}  // namespace

Prepared build_in(Enclosure* enclosure, const fs::path& root, const std::string& command, const Limits& limits,
                  const fs::path& output) {
  const Ending ending =
      launch(Launch{{"/bin/sh", "-c", command}, root, environment_in(enclosure), output, enclosure, limits});
  Prepared prepared{"", ending.asked_to_stop, !ending.stopped.empty()};
  if (ending.kind != Ending::Kind::exited || ending.value != 0)
    prepared.why = with_last_lines(fmt::format("it does not build: {}", ending.text()), output);
  return prepared;
}

Prepared prepare(View& view, const Repository& repository, const std::string& commit, const std::string& build,
                 const Limits& limits, const fs::path& folder) {
  Prepared prepared = check_out(view, repository, commit, folder / "checkout.txt", limits);
  if (!prepared.why.empty() || prepared.asked_to_stop != 0 || build.empty()) return prepared;
  prepared = build_in(&view, repository.root(), build, limits, folder / "build.txt");
  if (prepared.why.empty()) view.settle();
  return prepared;
}

ReplayAnswer replay_revision(ReplayOptions options, const Repository& repository, const std::string& commit,
                             const std::string& build, const Limits& limits, const fs::path& folder) {
  for (fs::path& own : folders_of(repository)) options.view.push_back(std::move(own));
  Prepared prepared;
  options.prepare = [&](View& view) {
    prepared = prepare(view, repository, commit, build, limits, folder);
    if (!prepared.why.empty()) refuse_a_full_disk(view.storage());
    return prepared.asked_to_stop != 0 ? std::string("it was interrupted") : prepared.why;
  };
  ReplayAnswer answer = replay(options);
  if (prepared.asked_to_stop != 0) answer.asked_to_stop = prepared.asked_to_stop;
  answer.passed_limit = answer.passed_limit || prepared.passed_limit;
  return answer;
}

}  // namespace samestep
