// A revision, checked out where it harms nothing: in a view of the user's own checkout, or, where the machine allows no
// view, in a worktree of its own. All of the revision's tracked files are there and no others that were ever tracked;
// HEAD is detached at it, the index is its own. The user's checkout, HEAD and index stay as they are.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bisect/repository.h"
#include "replay/view/storage.h"
#include "replay/view/view.h"

namespace samestep {

// How a step on the way to a replay went.
struct Prepared {
  std::string why;            // empty: it is done; else one sentence that says why the revision cannot be tried
  int asked_to_stop = 0;      // the signal by which somebody asked for its end
  bool passed_limit = false;  // of time or memory: that is why
};

// What a view must lay over, so that a revision can be checked out in it: the checkout and what git keeps of it.
[[nodiscard]] std::vector<std::filesystem::path> folders_of(const Repository& repository);

// Checks `commit` out in the view, in place of whatever is there, and settles it. A tracked file of the checkout shows
// through only where a checkout would write the same bytes and mode; reading them all is what that costs. Untracked
// files stay where nothing of the revision stands; submodules that the checkout has are brought to the revision's
// commits as far as those are here. `output`: a new file for what git says. REQUIRES the view to lay over
// folders_of(repository).
[[nodiscard]] Prepared check_out(View& view, const Repository& repository, const std::string& commit,
                                 const std::filesystem::path& output, const Limits& limits = {});

// The same in a folder of its own. What is not tracked is there only where a link leads to it.
class Worktree {
 public:
  // `links`: files or folders of the checkout, by path from its top or absolute, that lie there as links. Throws
  // BrokenInput where the folder cannot be made, or where one is not there or stands in the place of a tracked file.
  // Removes worktrees that were left by a process that was killed.
  Worktree(const Repository& repository, const std::string& commit, const std::vector<std::filesystem::path>& links);
  ~Worktree();  // removes it; whatever runs in it must have ended
  Worktree(const Worktree&) = delete;
  Worktree& operator=(const Worktree&) = delete;

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  // Where a folder of the checkout lies in here; `folder` itself where it lies outside.
  [[nodiscard]] std::filesystem::path place_of(const std::filesystem::path& folder) const;

 private:
  const Repository& repository_;
  ViewStorage storage_;
  std::filesystem::path root_;
};

}  // namespace samestep
