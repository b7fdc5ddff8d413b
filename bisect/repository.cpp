#include "bisect/repository.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "replay/run/error.h"
#include "replay/run/printable.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

std::string trimmed(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

bool is_id(const std::string& text) {
  return (text.size() == 40 || text.size() == 64) && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(std::move(part));
  return parts;
}

fs::path folder_of(const Git& git, const char* question) {
  const std::string text = trimmed(git.ask(fmt::format("Finding the checkout around {}", git.folder().string()),
                                           {"rev-parse", "--path-format=absolute", question}));
  std::error_code error;
  const fs::path folder = fs::canonical(text, error);
  if (error)
    throw BrokenInput(fmt::format("{} names {} as its {}, which cannot be reached: {}.", git.folder().string(),
                                  printable(text), question + 2, error.message()));
  return folder;
}

fs::path root_of(const Git& git) {
  if (trimmed(git.ask("Asking git about the checkout", {"rev-parse", "--is-inside-work-tree"})) != "true")
    throw BrokenInput(
        fmt::format("{} is in no checkout of its repository: trials need one (git clone, or git worktree add)",
                    git.folder().string()));
  return folder_of(git, "--show-toplevel");
}

// "ID TREE PARENT...", or "commit ID", which git puts before each.
bool take(const std::string& line, RangeCommit& commit) {
  std::vector<std::string> words = split(line, ' ');
  if (words.size() < 2 || words.front() == "commit" || !std::ranges::all_of(words, is_id)) return false;
  commit.id = std::move(words[0]);
  commit.tree = std::move(words[1]);
  commit.parents.assign(std::make_move_iterator(words.begin() + 2), std::make_move_iterator(words.end()));
  return true;
}

std::string signature_text(const std::string& status) {
  if (status == "G") return "good";
  if (status == "B") return "bad";
  if (status == "U") return "good, of unknown validity";
  if (status == "X") return "good, but expired";
  if (status == "Y") return "good, by a key that has expired";
  if (status == "R") return "good, by a key that was revoked";
  if (status == "E") return "cannot be checked";
  return "none";
}

void add_paths(std::vector<std::string>& words, const std::vector<std::string>& paths) {
  words.emplace_back("--");
  words.insert(words.end(), paths.begin(), paths.end());
}

void cut_at_a_line(CommitDiff& diff) {
  if (diff.cut) diff.text.resize(diff.text.rfind('\n') + 1);
}

}  // namespace

Repository::Repository(const fs::path& folder)
    : git_(folder),
      root_(root_of(git_)),
      git_folder_(folder_of(git_, "--git-dir")),
      common_folder_(folder_of(git_, "--git-common-dir")) {
  if (root_ != fs::canonical(folder)) git_ = Git(root_);
}

std::string Repository::commit(const std::string& revision) const {
  const auto id_of = [&](const std::string& name) {
    return trimmed(git_.try_to({"rev-parse", "--verify", "--quiet", "--end-of-options", name}).text);
  };
  // In two steps: of ":/text" all that follows is the text.
  std::string id = id_of(revision);
  if (is_id(id)) id = id_of(id + "^{commit}");
  if (!is_id(id)) throw BrokenInput(fmt::format("{} knows no commit '{}'.", root_.string(), printable(revision)));
  return id;
}

std::string Repository::tree(const std::string& commit) const {
  return trimmed(git_.ask("Reading " + commit, {"rev-parse", "--verify", "--end-of-options", commit + "^{tree}"}));
}

bool Repository::is_ancestor(const std::string& ancestor, const std::string& commit) const {
  const Git::Answer answer = git_.try_to({"merge-base", "--is-ancestor", "--end-of-options", ancestor, commit});
  if (answer.code > 1) throw BrokenInput(fmt::format("Comparing {} and {}: {}", ancestor, commit, answer.errors));
  return answer.code == 0;
}

std::vector<RangeCommit> Repository::between(const std::string& good, const std::string& bad,
                                             const std::vector<std::string>& paths) const {
  if (!is_ancestor(good, bad)) {
    const bool shallow = git_.try_to({"rev-parse", "--is-shallow-repository"}).text.starts_with("true");
    throw BrokenInput(
        fmt::format("The good revision {} is no ancestor of the bad one {}, so no commit leads from one to "
                    "the other.{}",
                    good, bad, shallow ? " The repository is shallow: git fetch --unshallow" : ""));
  }
  const std::string doing = fmt::format("Listing the commits between {} and {}", good, bad);
  const std::string range = good + ".." + bad;
  const std::string listed =
      git_.ask(doing, {"rev-list", "--topo-order", "--reverse", "--format=%H %T %P", "--end-of-options", range, "--"});
  std::vector<RangeCommit> commits;
  for (const std::string& line : split(listed, '\n'))
    if (RangeCommit commit; take(line, commit)) commits.push_back(std::move(commit));
  if (paths.empty()) return commits;
  std::vector<std::string> words{"rev-list", "--full-history", "--end-of-options", range};
  add_paths(words, paths);
  const std::vector<std::string> touching = split(git_.ask(doing, std::move(words)), '\n');
  const std::set<std::string> known(touching.begin(), touching.end());
  for (RangeCommit& commit : commits) commit.touches = known.contains(commit.id);
  return commits;
}

CommitDescription Repository::describe(const std::string& commit) const {
  constexpr std::size_t most = std::size_t{1} << 20;
  const std::string text =
      git_.ask("Reading " + commit,
               {"log", "-1", "--no-show-signature", "--format=%H%x00%an <%ae>%x00%aI%x00%G?%x00%GS%x00%s",
                "--end-of-options", commit, "--"},
               most);
  const std::vector<std::string> fields = split(trimmed(text), '\0');
  const auto field = [&](std::size_t i) { return i < fields.size() ? printable(fields[i]) : std::string(); };
  return {field(0), field(1), field(2), signature_text(field(3)), field(4), field(5)};
}

CommitDiff Repository::diff(const std::string& commit, const std::vector<std::string>& paths, std::size_t limit) const {
  const bool has_parent =
      git_.try_to({"rev-parse", "--verify", "--quiet", "--end-of-options", commit + "^1"}).code == 0;
  std::vector<std::string> words{"diff-tree",     "--patch",        "-M",
                                 "--no-ext-diff", "--no-textconv",  "--no-color",
                                 "--root",        "--no-commit-id", "--end-of-options"};
  if (has_parent) words.push_back(commit + "^1");
  words.push_back(commit);
  add_paths(words, paths);
  const Git::Answer answer = git_.try_to(std::move(words), limit);
  // Git may end by a closed pipe where the answer was cut: what came is what is shown.
  if (answer.code != 0 && !answer.cut) throw BrokenInput(fmt::format("Reading {}: {}", commit, answer.errors));
  CommitDiff diff{answer.text, answer.cut};
  cut_at_a_line(diff);
  return diff;
}

std::vector<std::string> Repository::tracked(const std::string& commit) const {
  const std::string now = git_.ask("Listing the tracked files", {"ls-files", "-z", "--full-name"});
  const std::string then = git_.ask("Listing the files of " + commit,
                                    {"ls-tree", "-r", "-z", "--name-only", "--full-tree", "--end-of-options", commit});
  std::set<std::string> files;
  for (const std::string* text : {&now, &then})
    for (std::string& file : split(*text, '\0')) files.insert(std::move(file));
  return {files.begin(), files.end()};
}

}  // namespace samestep
