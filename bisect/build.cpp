#include "bisect/build.h"

#include <fmt/format.h>

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

}  // namespace

Prepared build_in(Enclosure* enclosure, const fs::path& root, const std::string& command, const Limits& limits,
                  const fs::path& output) {
  const Ending ending = launch(Launch{{"/bin/sh", "-c", command}, root, {}, output, enclosure, limits});
  Prepared prepared{"", ending.asked_to_stop};
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

}  // namespace samestep
