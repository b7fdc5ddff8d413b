#include "tests/player/written_run.h"

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

#include "replay/player/saved_run.h"
#include "tests/compare/memory_run.h"

namespace samestep::testing {

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "samestep-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write(const WrittenRun& run, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  protocol::Hello hello;
  hello.program = run.argv.front();
  hello.environment = {{"threads", {{"intra", run.threads}}}};
  const nlohmann::json what{{"argv", run.argv}, {"cwd", folder.parent_path().string()}};
  SavedRun log(folder, what, 0, run.first, Digest{});
  log.begin(hello);
  for (std::uint64_t step = run.first; step < run.first + run.steps; ++step) {
    StepRecord record = small_step(step);
    if (run.edit) run.edit(record, small_layout());
    log.add(record, small_layout());
  }
  log.end(run.ended);
}

}  // namespace samestep::testing
