#include "replay/recorder/run_directory.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "replay/run/error.h"

namespace samestep {

namespace {

namespace fs = std::filesystem;

constexpr int most_of_one_name = 1000;

[[noreturn]] void cannot_make(const fs::path& run, const std::string& why) {
  throw BrokenInput(
      fmt::format("Making the run directory {}: {}. Give another place with --run DIR.", run.string(), why));
}

// What a shell can be given without quoting.
std::string plain(const std::string& name) {
  std::string kept;
  for (const unsigned char c : name.substr(0, 40))
    kept += std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-' ? static_cast<char>(c) : '_';
  return kept.empty() || kept.front() == '.' ? "run" : kept;
}

std::string time_text(std::int64_t utc_ns) {
  return fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(static_cast<std::time_t>(utc_ns / 1'000'000'000)));
}

// False where `run` exists already.
bool make_folder(const fs::path& run) {
  std::error_code error;
  if (fs::create_directory(run, error)) return true;
  if (error) cannot_make(run, error.message());
  return false;
}

}  // namespace

void hide_from_git(const fs::path& folder) {
  const fs::path file = folder / ".gitignore";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) std::ofstream(file) << "*\n";
}

fs::path make_default_run(const fs::path& cwd, const std::string& program, std::int64_t utc_ns) {
  const fs::path all = cwd / "samestep-runs";
  std::error_code error;
  fs::create_directories(all, error);
  if (error) cannot_make(all, error.message());
  hide_from_git(all);
  const std::string name = time_text(utc_ns) + "-" + plain(fs::path(program).filename());
  for (int i = 1; i <= most_of_one_name; ++i) {
    const fs::path run = all / (i == 1 ? name : fmt::format("{}-{}", name, i));
    if (make_folder(run)) return run;
  }
  cannot_make(all / name, "that name is taken a thousand times");
}

void make_named_run(const fs::path& run) {
  std::error_code error;
  if (run.has_parent_path()) fs::create_directories(run.parent_path(), error);
  if (error) cannot_make(run, error.message());
  if (make_folder(run)) return;
  if (!fs::is_directory(run, error)) cannot_make(run, "a file of that name is there");
  if (!fs::is_empty(run, error) || error)
    cannot_make(run, error ? error.message() : "it is not empty; to add to a run say --continue");
}

RunLock::RunLock(const fs::path& run) : folder_(::open(run.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (folder_ < 0)
    throw BrokenInput(fmt::format("Opening the run directory {}: {}.", run.string(), std::strerror(errno)));
  if (::flock(folder_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(folder_);
  throw BrokenInput(fmt::format("Opening the run directory {}: another samestep is recording into it.", run.string()));
}

RunLock::~RunLock() {
  ::close(folder_);
}

std::uint64_t bytes_of_run(const fs::path& run) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(run, error); !error && entry != fs::recursive_directory_iterator();
       entry.increment(error)) {
    std::error_code of_file;
    if (entry->is_regular_file(of_file)) bytes += entry->file_size(of_file);
  }
  return bytes;
}

}  // namespace samestep
