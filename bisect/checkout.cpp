#include "bisect/checkout.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

#include "bisect/submodules.h"
#include "replay/player/folder.h"
#include "replay/recorder/descriptor.h"
#include "replay/run/error.h"
#include "replay/run/printable.h"
#include "replay/view/places.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t shown_lines = 4;  // of what git said

// What git calls unchanged may hold other bytes than a checkout would write: it compares after converting (ends of
// lines, filters, encodings), and by the attributes of the day on which the file was written. So of the revision that
// stands here, the files whose bytes are not those of their blob, and those that a checkout converts, are written anew;
// each of the others is what a checkout writes. So in submodules, whether .gitmodules knows them or not. Left alone is
// what git-lfs keeps, where it is in use: it knows contents by their digest, and data can be large. Should a file not
// be readable, those that follow it are written anew, too.
constexpr const char* write_anew_script = R"sh(set -e
folder=$(git rev-parse --absolute-git-dir)
tracked=$folder/samestep-tracked anew=$folder/samestep-anew
lfs=$(git config filter.lfs.process || :)$(git config filter.lfs.smudge || :)
if [ -n "$lfs" ]; then set -- ':(exclude,attr:filter=lfs)'; else set --; fi
git ls-files --stage -- "$@" | sed -n '/^100/p' > "$tracked"
if [ "$(git config --bool core.autocrlf 2> /dev/null)" = true ] || git config core.eol | grep -qi '^crlf$'; then
  cut -f 2 "$tracked" > "$anew"
else
  cut -f 2 "$tracked" | git hash-object --no-filters --stdin-paths | paste - "$tracked" |
    sed -n '/^\([0-9a-f]*\)[[:blank:]]100[0-9]* \1 /!p' | cut -f 3 > "$anew"
  cut -f 2 "$tracked" | git check-attr --stdin eol ident filter working-tree-encoding |
    sed -nE -e '/: (unset|unspecified)$/d' \
      -e 's/: (eol: crlf|ident: set|(filter|working-tree-encoding): [^ ]*)$//p' >> "$anew"
fi
if [ -s "$anew" ]; then
  git update-index --force-remove --stdin < "$anew"
  git checkout --quiet --force --detach HEAD --
fi
rm -f "$tracked" "$anew"
git -c core.quotePath=false ls-files --stage | grep '^160000' | cut -f 2 | while read -r submodule; do
  if [ -z "$(git -C "$submodule" rev-parse --show-prefix 2>&1)" ]; then (cd "$submodule"; /bin/sh -c "$write_anew"); fi
done
)sh";

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
/bin/sh -c "$write_anew"
)";

EnvironmentChanges environment_of(const Repository& repository, const std::string& commit) {
  std::map<std::string, std::string> settings = harmless_settings_of_submodules(repository, commit);
  settings["core.sparseCheckout"] = "false";
  settings["core.fileMode"] = "true";  // else a file shows through that is executable here alone
  EnvironmentChanges changes = repository.git().environment();
  add_settings(changes, settings);
  changes["write_anew"] = write_anew_script;
  return changes;
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
constexpr int most_attempts = 5;

// While it lives, no other trial of this machine adds, lists or removes a worktree: git fails over one that is half
// made.
class Alone {
 public:
  explicit Alone(const fs::path& common_folder)
      : folder_(::open(common_folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    // Where the file system has no locks, trying again has to do.
    static_cast<void>(::flock(folder_.get(), LOCK_EX));
  }

 private:
  Descriptor folder_;
};

void remove_worktree(const Git& git, const fs::path& root) {
  (void)git.try_to({"worktree", "remove", "--force", "--force", root.string()});
}

// Git says why a worktree is locked: so it is known which machine's disk it lies on.
std::string lock_reason() {
  utsname system{};
  ::uname(&system);
  return fmt::format("a trial of samestep on {}", system.nodename);
}

// Those of this machine whose maker has died: it locked the storage before git heard of the worktree in it, and a
// storage may have gone already. "worktree PATH", then "locked REASON".
void remove_left_behind(const Git& git) {
  std::istringstream lines(git.ask("Listing the worktrees", {"worktree", "list", "--porcelain"}));
  const std::string word = "worktree ";
  fs::path root;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(word)) root = line.substr(word.size());
    std::error_code error;
    const bool ours = line == "locked " + lock_reason() && is_storage(root.parent_path());
    if (ours) remove_if_left_behind(root.parent_path());
    if (ours && !fs::exists(root.parent_path(), error)) remove_worktree(git, root);
  }
}

// Another machine's trial may be adding one at this very moment.
void add_worktree(const Repository& repository, const std::string& commit, const fs::path& root) {
  for (int attempt = 1;; ++attempt) {
    try {
      const Alone alone(repository.common_folder());
      remove_left_behind(repository.git());
      (void)repository.git().ask("Making a worktree for " + commit,
                                 {"-c", "core.sparseCheckout=false", "worktree", "add", "--quiet", "--force",
                                  "--detach", "--lock", "--reason", lock_reason(), root.string(), commit});
      return;
    } catch (const BrokenInput&) {
      if (attempt == most_attempts) throw;
    }
    std::this_thread::sleep_for(attempt * std::chrono::milliseconds(100));
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
  checkout.environment = environment_of(repository, commit);
  checkout.output = output;
  checkout.enclosure = &view;
  checkout.limits = limits;
  const Ending ending = launch(checkout);
  Prepared prepared{"", ending.asked_to_stop, !ending.stopped.empty()};
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
  add_worktree(repository, commit, root_);
  try {
    for (const fs::path& link : links) make_link(repository, root_, link);
  } catch (...) {
    const Alone alone(repository.common_folder());
    remove_worktree(repository.git(), root_);
    throw;
  }
}

Worktree::~Worktree() {
  try {
    const Alone alone(repository_.common_folder());
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
