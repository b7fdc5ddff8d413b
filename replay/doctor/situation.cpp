#include "replay/doctor/situation.h"

#include <fmt/format.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "replay/run/error.h"
#include "replay/view/view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

// Why a replay in `cwd` would get no view; empty where it would.
std::string views_refusal(const fs::path& cwd) {
  try {
    ViewOptions options;
    options.cwd = fs::absolute(cwd);
    View(std::move(options)).probe();
    return "";
  } catch (const BrokenInput& error) {
    return error.what();
  }
}

std::uint64_t number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t number = 0;
  in >> number;
  return in ? number : 0;
}

void look_at_disk(const fs::path& cwd, Situation& situation) {
  constexpr long nfs_magic = 0x6969;
  struct statfs info {};
  const fs::path runs = cwd / "samestep-runs";
  if (::statfs(runs.c_str(), &info) != 0 && ::statfs(cwd.c_str(), &info) != 0) return;
  situation.runs_on_nfs = info.f_type == nfs_magic;
  situation.free_bytes = static_cast<std::uint64_t>(info.f_bavail) * static_cast<std::uint64_t>(info.f_bsize);
}

}  // namespace

void count_memory_errors(const fs::path& devices, Situation& situation) {
  std::error_code error;
  for (fs::directory_iterator entry(devices, error), end; !error && entry != end; entry.increment(error)) {
    situation.memory_errors_corrected += number_in(entry->path() / "ce_count");
    situation.memory_errors_uncorrected += number_in(entry->path() / "ue_count");
  }
}

Situation look(std::span<const std::string> argv, const fs::path& cwd) {
  Situation situation;
  situation.environment = current_environment();
  situation.machine = this_machine();
  situation.views_refused = views_refusal(cwd);
  look_at_disk(cwd, situation);
  count_memory_errors("/sys/devices/system/edac/mc", situation);
  situation.python = look_at_python(python_of(argv), cwd);
  return situation;
}

}  // namespace samestep
