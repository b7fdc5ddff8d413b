#include "replay/resume/workplace.h"

#include <fmt/format.h>

#include <functional>
#include <system_error>
#include <utility>

#include "replay/view/storage.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr const char* recordings = "samestep-runs";

// The end of the sentence that a refused view is told with speaks of replays.
constexpr const char* in_copies =
    " (resume-check --in-place takes copies of the folder, so that only what is written outside of it stays)";

void check(const std::error_code& error, const fs::path& path) {
  if (error) throw BrokenInput(fmt::format("Copying the program's folder: {}: {}.", path.string(), error.message()));
}

// Calls `take` for everything that is copied, folders before what is in them.
void walk(const fs::path& from, const fs::path& besides, const std::function<void(const fs::directory_entry&)>& take) {
  std::error_code error;
  auto entry = fs::recursive_directory_iterator(from, error);
  check(error, from);
  while (entry != fs::recursive_directory_iterator()) {
    const bool own = entry.depth() == 0 && entry->path().filename() == recordings;
    if (own || entry->path() == besides)
      entry.disable_recursion_pending();
    else
      take(*entry);
    entry.increment(error);
    check(error, from);
  }
}

std::uintmax_t bytes_in(const fs::path& from, const fs::path& besides) {
  std::uintmax_t bytes = 0;
  walk(from, besides, [&](const fs::directory_entry& entry) {
    std::error_code ignored;
    if (entry.is_regular_file(ignored) && !entry.is_symlink(ignored)) bytes += entry.file_size(ignored);
  });
  return bytes;
}

void copy_entry(const fs::directory_entry& entry, const fs::path& to) {
  std::error_code error;
  if (entry.is_symlink(error))
    fs::copy_symlink(entry.path(), to, error);
  else if (entry.is_directory(error))
    fs::create_directory(to, entry.path(), error);
  else if (entry.is_regular_file(error) && fs::copy_file(entry.path(), to, error))
    fs::last_write_time(to, entry.last_write_time(error), error);  // some data is read newest first
  check(error, entry.path());
}

ViewOptions view_options(const ResumeOptions& options) {
  ViewOptions made;
  made.cwd = options.cwd;
  made.folders = options.view;
  made.network = options.network;
  return made;
}

}  // namespace

void copy_folder(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to, error);
  check(error, to);
  const fs::path source = fs::canonical(from), besides = fs::canonical(to);
  const std::uintmax_t bytes = bytes_in(source, besides), free = fs::space(to).available;
  if (bytes > free)
    throw BrokenInput(
        fmt::format("Copying the program's folder {} takes {} MB, and {} has room for {} MB. Let --keep name "
                    "a folder on a larger disk.",
                    from.string(), bytes / 1'000'000, to.string(), free / 1'000'000));
  walk(source, besides,
       [&](const fs::directory_entry& entry) { copy_entry(entry, besides / entry.path().lexically_relative(source)); });
}

Workplace::Workplace(const ResumeOptions& options, bool lasting, fs::path copy)
    : cwd_(options.cwd), copy_(std::move(copy)), in_place_(options.in_place), lasting_(lasting) {
  if (in_place_) return;
  try {
    view_.emplace(view_options(options));
    view_->probe();
  } catch (const ViewRefused& refused) {
    throw ViewRefused(refused.what() + std::string(in_copies));
  }
}

void Workplace::prepare() {
  if (view_ && lasting_ && std::exchange(used_, true)) view_->settle();
  std::error_code error;
  if (!in_place_ || (lasting_ && fs::exists(copy_, error))) return;
  remove_tree(copy_);
  copy_folder(cwd_, copy_);
}

}  // namespace samestep
