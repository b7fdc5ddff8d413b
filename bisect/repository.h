// A git repository as a bisect reads it: which commits lie between two revisions, who made them, what they changed.
// Reading writes nothing, starts nothing that the repository names (replay/recorder/git.h), and knows real objects
// alone: neither replacements nor grafts, for an accusation names a commit by its id.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "replay/recorder/git.h"

namespace samestep {

// A commit of the range that is searched.
struct RangeCommit {
  std::string id;
  std::vector<std::string> parents;  // of the range or not; the first is what it was committed onto
  std::string tree;                  // commits of one tree train alike
  bool touches = true;               // changes a file of the paths asked for, seen from one of its parents
};

struct CommitDescription {
  std::string id;
  std::string author;     // "Name <address>"
  std::string date;       // of authorship, ISO 8601 with its own offset
  std::string signature;  // "good", "bad", "good, of unknown validity", "none", ... as git's %G? has it
  std::string signer;     // as the signature's key names itself; empty: none
  std::string subject;
};

struct CommitDiff {
  std::string text;
  bool cut = false;  // it is longer
};

class Repository {
 public:
  // Of the checkout that `folder` lies in: a plain one, a linked worktree, a submodule's. Throws BrokenInput where it
  // lies in none, or in a bare repository.
  explicit Repository(const std::filesystem::path& folder);

  [[nodiscard]] const Git& git() const { return git_; }
  // The checkout's top folder; links resolved, as are the following.
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  // Where HEAD and index of this checkout lie, and where its objects and branches do: one folder but in linked
  // worktrees.
  [[nodiscard]] const std::filesystem::path& git_folder() const { return git_folder_; }
  [[nodiscard]] const std::filesystem::path& common_folder() const { return common_folder_; }

  // The id of the commit that a revision ("main~3", "v1.0", an id or its beginning) names. Throws BrokenInput.
  [[nodiscard]] std::string commit(const std::string& revision) const;
  [[nodiscard]] std::string tree(const std::string& commit) const;
  [[nodiscard]] bool is_ancestor(const std::string& ancestor, const std::string& commit) const;
  // The commits that `bad` has and `good` has not, parents before children, in an order that the commits alone decide.
  // `paths` as git takes them, from the checkout's top; none: every commit touches. Throws BrokenInput where `good` is
  // no ancestor of `bad`.
  [[nodiscard]] std::vector<RangeCommit> between(const std::string& good, const std::string& bad,
                                                 const std::vector<std::string>& paths = {}) const;
  // Texts come from whoever made the commit: what could act on a terminal is written out.
  [[nodiscard]] CommitDescription describe(const std::string& commit) const;
  // Against its first parent; at most `limit` bytes, cut at a line's end.
  [[nodiscard]] CommitDiff diff(const std::string& commit, const std::vector<std::string>& paths = {},
                                std::size_t limit = std::size_t{64} << 10) const;
  // Files that the index of the checkout or `commit` tracks, from the top; sorted.
  [[nodiscard]] std::vector<std::string> tracked(const std::string& commit) const;

 private:
  Git git_;
  std::filesystem::path root_, git_folder_, common_folder_;
};

}  // namespace samestep
