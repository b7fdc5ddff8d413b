#include "bisect/checkout.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "replay/player/folder.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/view/places.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t shown_lines = 4;  // of what git said

// $1: the checkout, $2: its git folder, $3: the commit; then the submodules that the revision has not. A lock is
// another git's, which works outside. The index knows files that it was told not to look at (assume-unchanged, sparse
// checkouts): here all of them count.
constexpr const char* check_out_script = R"(set -e
root=$1 git=$2 commit=$3
shift 3
cd "$root"
rm -f "$git/index.lock" "$git/HEAD.lock"
git update-index -q --refresh > /dev/null 2>&1 || :
if git ls-files -v | grep -q '^[a-zS]'; then
  git ls-files -z | git update-index -z --no-skip-worktree --stdin
  git ls-files -z | git update-index -z --no-assume-unchanged --stdin
fi
git checkout --quiet --force --detach "$commit" --
if [ $# -gt 0 ]; then rm -rf -- "$@"; fi
if [ -f .gitmodules ]; then git submodule --quiet update --force --checkout --recursive --no-fetch; fi
)";

EnvironmentChanges environment_of(const Repository& repository) {
  EnvironmentChanges changes = repository.git().environment();
  const int count = std::stoi(*changes["GIT_CONFIG_COUNT"]);
  changes[fmt::format("GIT_CONFIG_KEY_{}", count)] = "core.sparseCheckout";
  changes[fmt::format("GIT_CONFIG_VALUE_{}", count)] = "false";
  changes["GIT_CONFIG_COUNT"] = std::to_string(count + 1);
  return changes;
}

// The paths of "160000 ..." entries: "MODE ... \tPATH", NUL-separated.
std::set<std::string> submodules_in(const std::string& listed) {
  std::set<std::string> paths;
  std::istringstream entries(listed);
  for (std::string entry; std::getline(entries, entry, '\0');)
    if (entry.starts_with("160000 ")) paths.insert(entry.substr(entry.find('\t') + 1));
  return paths;
}

std::vector<std::string> submodules_not_in(const Repository& repository, const std::string& commit) {
  const std::set<std::string> now =
      submodules_in(repository.git().ask("Listing the submodules", {"ls-files", "--stage", "-z"}));
  if (now.empty()) return {};
  const std::set<std::string> then = submodules_in(repository.git().ask(
      "Listing the submodules of " + commit, {"ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit}));
  std::vector<std::string> gone;
  std::ranges::set_difference(now, then, std::back_inserter(gone));
  return gone;
}

std::vector<std::string> check_out_command(const Repository& repository, const std::string& commit) {
  std::vector<std::string> words{
      "/bin/sh", "-c", check_out_script, "check-out", repository.root().string(), repository.git_folder().string(),
      commit};
  for (const std::string& submodule : submodules_not_in(repository, commit)) words.push_back("./" + submodule);
  return words;
}

std::string git_said(const fs::path& output) {
  std::string text;
  for (const std::string& line : last_lines(output, shown_lines)) text += (text.empty() ? "" : "; ") + printable(line);
  return text;
}

// --- Worktrees -----------------------------------------------------------------------------------------------------

constexpr const char* folder_name = "worktree";

void remove_worktree(const Git& git, const fs::path& root) {
  (void)git.try_to({"worktree", "remove", "--force", "--force", root.string()});
}

// Git says why a worktree is locked: so it is known which machine's disk it lies on.
std::string lock_reason() {
  utsname system{};
  ::uname(&system);
  return fmt::format("a trial of samestep on {}", system.nodename);
}

// Those of this machine whose folder has gone with the storage that it lay in. "worktree PATH", then "locked REASON".
void remove_left_behind(const Git& git) {
  std::istringstream lines(git.ask("Listing the worktrees", {"worktree", "list", "--porcelain"}));
  const std::string word = "worktree ";
  fs::path root;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(word)) root = line.substr(word.size());
    std::error_code error;
    const bool ours = line == "locked " + lock_reason() && is_storage(root.parent_path());
    if (ours && !fs::exists(root.parent_path(), error)) remove_worktree(git, root);
  }
}

fs::path path_in(const Repository& repository, const fs::path& link) {
  const fs::path path = (repository.root() / link).lexically_normal();
  const bool inside = path != repository.root() && is_in(path, repository.root());
  if (!inside)
    throw BrokenInput(fmt::format("--link {}: it does not lie in {}.", link.string(), repository.root().string()));
  return path;
}

void make_link(const Repository& repository, const fs::path& root, const fs::path& link) {
  const fs::path to = path_in(repository, link);
  const fs::path at = root / to.lexically_relative(repository.root());
  std::error_code error;
  if (!fs::exists(to, error)) throw BrokenInput(fmt::format("--link {}: it is not there.", link.string()));
  fs::create_directories(at.parent_path(), error);
  fs::create_symlink(to, at, error);
  if (error)
    throw BrokenInput(fmt::format("--link {}: {} (does the revision track it?)", link.string(), error.message()));
}

}  // namespace

std::vector<fs::path> folders_of(const Repository& repository) {
  return outermost({repository.root(), repository.git_folder(), repository.common_folder()});
}

Prepared check_out(View& view, const Repository& repository, const std::string& commit, const fs::path& output,
                   const Limits& limits) {
  Launch checkout;
  checkout.argv = check_out_command(repository, commit);
  checkout.cwd = repository.root();
  checkout.environment = environment_of(repository);
  checkout.output = output;
  checkout.enclosure = &view;
  checkout.limits = limits;
  const Ending ending = launch(checkout);
  Prepared prepared{"", ending.asked_to_stop};
  if (ending.kind == Ending::Kind::exited && ending.value == 0)
    view.settle();
  else
    prepared.why = fmt::format("it cannot be checked out: git {}: {}", ending.text(), git_said(output));
  return prepared;
}

Worktree::Worktree(const Repository& repository, const std::string& commit, const std::vector<fs::path>& links)
    : repository_(repository),
      storage_(folders_of(repository), ViewStorage::Use::plain_files),
      root_(storage_.path() / folder_name) {
  remove_left_behind(repository.git());
  (void)repository.git().ask("Making a worktree for " + commit,
                             {"-c", "core.sparseCheckout=false", "worktree", "add", "--quiet", "--force", "--detach",
                              "--lock", "--reason", lock_reason(), root_.string(), commit});
  try {
    for (const fs::path& link : links) make_link(repository, root_, link);
  } catch (...) {
    remove_worktree(repository.git(), root_);
    throw;
  }
}

Worktree::~Worktree() {
  try {
    remove_worktree(repository_.git(), root_);
  } catch (const std::exception&) {
    // The folder goes with the storage; the next worktree removes what git remembers of it.
  }
}

fs::path Worktree::place_of(const fs::path& folder) const {
  const fs::path normal = fs::weakly_canonical(folder);
  return is_in(normal, repository_.root()) ? root_ / normal.lexically_relative(repository_.root()) : normal;
}

}  // namespace samestep
