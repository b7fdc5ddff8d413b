// Revisions checked out in real views and worktrees of real repositories. Where the machine allows no view, the tests
// of views check how that is told.
#include "bisect/checkout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>

#include "replay/run/error.h"
#include "tests/bisect/made_repository.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MadeRepository;
using ::testing::Not;

// Everything that could change of a checkout: names, contents, HEAD, index, what git thinks of it.
std::string state_of(const MadeRepository& made) {
  return made.sh(
      "git --no-optional-locks status --porcelain=2 --branch; find . -path ./.git/objects -prune -o -type f "
      "-print0 | sort -z | xargs -0 sha256sum; find . -type l | sort; git worktree list");
}

class ACheckout : public ::testing::Test {
 protected:
  // Two revisions; the second removes, renames, changes. What stands there is the first, with local changes.
  void SetUp() override {
    made_.write("train.py", "one\n");
    made_.write("old/module.py", "old\n");
    made_.write(".gitignore", "data\nbuild\n");
    first_ = made_.commit("first");
    made_.write("train.py", "two\n");
    made_.sh("git mv old new");
    made_.write("run.sh", "echo\n");
    second_ = made_.commit("second");
    made_.sh("git checkout -q " + first_);
    made_.write("data/digits", "data\n");
    made_.write("train.py", "edited\n");
    made_.write("run.sh", "untracked, in the way\n");
    made_.sh("echo staged > staged.py; git add staged.py");
  }

  bool has_views() const {
    if (testing::view_refusal().empty()) return true;
    EXPECT_THAT(testing::view_refusal(), HasSubstr("--in-place"));
    return false;
  }
  ViewOptions view_of(const Repository& repository) const {
    ViewOptions options;
    options.cwd = repository.root();
    options.folders = folders_of(repository);
    return options;
  }
  // What `script` prints in a view of `revision`.
  std::string in_view(const Repository& repository, const std::string& revision, const std::string& script) {
    View view(view_of(repository));
    prepared_ = check_out(view, repository, repository.commit(revision), folder_ / "checkout.txt");
    EXPECT_EQ(prepared_.why, "");
    Launch command{{"/bin/sh", "-c", script}, repository.root(), {}, folder_ / "output.txt", &view};
    EXPECT_EQ(launch(command).exit_code(), 0);
    return testing::text_of(folder_ / "output.txt");
  }

  testing::Folder folder_;
  MadeRepository made_{folder_ / "project"};
  std::string first_, second_;
  Prepared prepared_;
};

TEST_F(ACheckout, InAViewHoldsTheRevisionsFilesAndWhatIsUntracked) {
  if (!has_views()) return;
  const Repository repository(made_.root());
  EXPECT_EQ(in_view(repository, second_,
                    "cat train.py run.sh new/module.py data/digits; ls; git status --porcelain; "
                    "git rev-parse HEAD; git symbolic-ref -q HEAD || echo detached"),
            "two\necho\nold\ndata\ndata\nnew\nrun.sh\ntrain.py\n" + second_ + "\ndetached\n");
}

TEST_F(ACheckout, InAViewLeavesCheckoutIndexAndHeadOutsideAsTheyAre) {
  if (!has_views()) return;
  const std::string before = state_of(made_);
  (void)in_view(Repository(made_.root()), second_,
                "echo x > train.py; git add -A; git -c user.name=a -c user.email=a "
                "commit -qm mine; git branch mine; rm -rf .git data");
  EXPECT_EQ(state_of(made_), before);
}

TEST_F(ACheckout, InAViewOfTheRevisionThatStandsThereUndoesLocalChanges) {
  if (!has_views()) return;
  EXPECT_EQ(in_view(Repository(made_.root()), first_, "cat train.py run.sh; ls; git status --porcelain"),
            "one\nuntracked, in the way\ndata\nold\nrun.sh\ntrain.py\n?? run.sh\n");
}

TEST_F(ACheckout, FilesThatTheIndexWasToldNotToLookAtAreTheRevisionsToo) {
  if (!has_views()) return;
  made_.sh("git checkout -q -f " + first_ +
           "; git sparse-checkout set --no-cone /train.py; test ! -e old; "
           "git update-index --assume-unchanged train.py; echo hidden > train.py; touch .git/index.lock");
  EXPECT_EQ(in_view(Repository(made_.root()), first_, "cat train.py old/module.py"), "one\nold\n");
  EXPECT_EQ(in_view(Repository(made_.root()), second_, "cat train.py new/module.py; test ! -e old"), "two\nold\n");
}

// Git calls each of these files unchanged, and a checkout of the revision would write another.
TEST_F(ACheckout, FilesThatGitCallsUnchangedHoldTheBytesThatACheckoutWrites) {
  if (!has_views()) return;
  MadeRepository made(folder_ / "lines");
  const std::string show = "for file in *.txt; do echo $file; od -An -c $file; done; git status --porcelain";
  made.write("a.txt", "a\n");
  made.write("b.txt", "$Id$\n");
  const std::string plain = made.commit("plain");
  made.write(".gitattributes", "a.txt text eol=crlf\nb.txt ident\n");
  const std::string converted = made.commit("converted");
  const auto fresh = [&](const std::string& commit) {
    return made.sh("git worktree add -q ../fresh " + commit + "; cd ../fresh; " + show +
                   "; git worktree remove --force ../fresh");
  };
  const Repository repository(made.root());
  EXPECT_EQ(in_view(repository, converted, show), fresh(converted));
  made.sh("rm *.txt; git checkout -q -f " + converted + "; git checkout -q " + plain + "; grep -q '\r' a.txt");
  EXPECT_EQ(in_view(repository, plain, show), fresh(plain));
  made.sh("git config core.autocrlf true");
  EXPECT_EQ(in_view(repository, plain, show), fresh(plain));
}

TEST_F(ACheckout, LineEndsThatGitOverlooksAreTheRevisions) {
  if (!has_views()) return;
  made_.write(".gitattributes", "* text=auto\n");
  made_.write("\"odd\" n\tame.py", "one\n");
  made_.write("train.py", "one\n");
  const std::string commit = made_.commit("text");
  made_.write("\"odd\" n\tame.py", "one\r\n");
  made_.write("train.py", "one\r\n");
  made_.sh("git add -A; test -z \"$(git status --porcelain)\"");
  EXPECT_EQ(in_view(Repository(made_.root()), commit, "cat train.py *odd*"), "one\none\n");
}

TEST_F(ACheckout, FilesAreExecutableWhereTheRevisionSaysSo) {
  if (!has_views()) return;
  made_.sh("git checkout -q -f " + second_ + "; git config core.fileMode false; chmod +x train.py");
  EXPECT_EQ(in_view(Repository(made_.root()), second_, "test -x train.py || echo no"), "no\n");
}

TEST_F(ACheckout, FilesThatNothingConvertsKeepTheirTimes) {
  if (!has_views()) return;
  made_.sh("git checkout -q -f " + second_ +
           "; echo '* text=auto' > .git/info/attributes; touch -d 2001-02-03 train.py");
  EXPECT_EQ(in_view(Repository(made_.root()), second_, "date -r train.py +%F; ls .git | grep samestep || :"),
            "2001-02-03\n");
}

// The user's own git-lfs knows what it keeps by its digest, and copying it anew into each trial could be gigabytes.
TEST_F(ACheckout, DataThatGitLfsKeepsShowsThrough) {
  if (!has_views()) return;
  const char* home = std::getenv("HOME");
  ::setenv("HOME", folder_.path().c_str(), 1);
  std::ofstream(folder_ / ".gitconfig") << "[filter \"lfs\"]\n  clean = echo pointer\n  smudge = echo copied\n";
  made_.write(".gitattributes", "weights filter=lfs -text\n");
  made_.write("weights", "data\n");
  made_.sh("git -c filter.lfs.clean='echo pointer' add weights; git commit -qm weights");
  EXPECT_EQ(in_view(Repository(made_.root()), "HEAD", "cat weights; git cat-file -p :weights"), "data\npointer\n");
  ::setenv("HOME", home, 1);
}

TEST_F(ACheckout, FilesOfSubmodulesHoldTheBytesThatACheckoutWrites) {
  if (!has_views()) return;
  MadeRepository whole(folder_ / "whole");
  whole.sh("git -c protocol.file.allow=always submodule --quiet add ../project part");
  const std::string commit = whole.commit("whole");
  whole.sh(
      "cd part; echo '* text=auto' > \"$(git rev-parse --git-dir)\"/info/attributes; "
      "printf 'one\\r\\n' > train.py; git add -A; test -z \"$(git status --porcelain)\"");
  EXPECT_EQ(in_view(Repository(whole.root()), commit, "cat part/train.py"), "one\n");
  whole.sh("mkdir empty; git mv .gitmodules none; git update-index --add --cacheinfo 160000," + first_ + ",empty");
  EXPECT_EQ(in_view(Repository(whole.root()), whole.commit("unknown"), "cat part/train.py; ls empty"), "one\n");
}

TEST_F(ACheckout, InAViewOfALinkedWorktreeAndOfASubmoduleWorks) {
  if (!has_views()) return;
  made_.sh("git worktree add -q ../linked " + first_ +
           "; git init -q -b main ../whole; cd ../whole; "
           "git -c protocol.file.allow=always submodule --quiet add ../project part; git commit -qm whole");
  const Repository linked(folder_ / "linked"), part(folder_ / "whole/part");
  EXPECT_NE(linked.git_folder(), linked.common_folder());
  const std::string before = state_of(made_);
  EXPECT_EQ(in_view(linked, second_, "cat train.py; git rev-parse HEAD; git status --porcelain"),
            "two\n" + second_ + "\n");
  EXPECT_EQ(in_view(part, first_, "cat train.py; git rev-parse HEAD; git status --porcelain"), "one\n" + first_ + "\n");
  EXPECT_EQ(state_of(made_), before);
  EXPECT_EQ(testing::text_of(folder_ / "linked/train.py"), "one\n");
}

TEST_F(ACheckout, BringsSubmodulesToTheRevisionsCommits) {
  if (!has_views()) return;
  MadeRepository whole(folder_ / "whole");
  whole.write("a", "1");
  const std::string none = whole.commit("none");
  whole.sh("git -c protocol.file.allow=always submodule --quiet add ../project part; git -C part checkout -q " +
           first_);
  const std::string old = whole.commit("old");
  whole.sh("git -C part checkout -q " + second_);
  const std::string latest = whole.commit("new");
  const Repository repository(whole.root());
  EXPECT_EQ(in_view(repository, old, "cat part/train.py"), "one\n");
  EXPECT_EQ(in_view(repository, latest, "cat part/train.py"), "two\n");
  EXPECT_EQ(in_view(repository, none, "ls"), "a\n");
}

// In their git folders below the checkout's, in linked worktrees' ones, in folders of their own, and in those of
// theirs. Each has a filter of its own name: one that is known of one would be known of all.
TEST_F(ACheckout, StartsNothingThatASubmodulesConfigurationNames) {
  if (!has_views()) return;
  MadeRepository inner(folder_ / "inner"), middle(folder_ / "middle"), lone(folder_ / "lone"), whole(folder_ / "whole");
  for (const MadeRepository* made : {&inner, &middle, &lone}) {
    made->write("a.txt", "tame\n");
    made->write(".gitattributes", "*.txt filter=" + made->root().filename().string() + "\n");
    made->commit("first");
  }
  const std::string submodule = "git -c protocol.file.allow=always submodule --quiet ";
  middle.sh(submodule + "add ../inner deep/inner; git commit -qm inner");
  whole.sh(submodule + "add ../middle part; " + submodule + "add ../lone own; " + submodule +
           "update --init --recursive; git commit -qm whole; rm own/.git; mv .git/modules/own own/.git; " +
           "git config --file own/.git/config --unset core.worktree");
  const auto set_filter = [&](const std::string& at, const std::string& name) {
    whole.sh("cd " + at + "; git config filter." + name + ".smudge 'sed s/tame/evil/'; rm a.txt");
  };
  set_filter("part", "middle");
  set_filter("part/deep/inner", "inner");
  set_filter("own", "lone");
  EXPECT_EQ(in_view(Repository(whole.root()), "HEAD", "cat part/a.txt part/deep/inner/a.txt own/a.txt"),
            "tame\ntame\ntame\n");
  whole.sh(
      "git -C .git/modules/part config --unset filter.middle.smudge; git worktree add -q ../linked HEAD; cd "
      "../linked; " +
      submodule + "update --init");
  set_filter("../linked/part", "middle");
  EXPECT_EQ(in_view(Repository(folder_ / "linked"), "HEAD", "cat part/a.txt"), "tame\n");
}

TEST_F(ACheckout, OfWhatIsNoCommitHereSaysWhatGitSaid) {
  if (!has_views()) return;
  const Repository repository(made_.root());
  View view(view_of(repository));
  const std::string missing(40, 'a');
  EXPECT_THAT(check_out(view, repository, first_, folder_ / "a.txt").why, IsEmpty());
  made_.sh("rm -f .git/objects/" + second_.substr(0, 2) + "/" + second_.substr(2));
  EXPECT_THAT(check_out(view, repository, second_, folder_ / "b.txt").why,
              AllOf(HasSubstr("cannot be checked out: git exited with code"), HasSubstr("fatal: ")));
}

TEST_F(ACheckout, AsAWorktreeHoldsTheRevisionAndLinksAndIsGoneAfterwards) {
  const Repository repository(made_.root());
  const std::string before = state_of(made_);
  fs::path root;
  {
    const Worktree worktree(repository, second_, {"data"});
    root = worktree.root();
    EXPECT_EQ(testing::text_of(root / "train.py"), "two\n");
    EXPECT_EQ(testing::text_of(root / "data/digits"), "data\n");
    EXPECT_FALSE(fs::exists(root / "old"));
    EXPECT_EQ(Repository(root).commit("HEAD"), second_);
    EXPECT_EQ(worktree.place_of(repository.root() / "data"), root / "data");
    EXPECT_EQ(worktree.place_of("/usr"), "/usr");
  }
  EXPECT_FALSE(fs::exists(root.parent_path()));
  EXPECT_EQ(state_of(made_), before);
}

TEST_F(ACheckout, AWorktreeThatAKilledProcessLeftIsRemovedByTheNext) {
  const Repository repository(made_.root());
  fs::path left;
  {
    const Worktree worktree(repository, second_, {});
    left = worktree.root();
    made_.sh("cp -r .git/worktrees ../kept");
  }
  made_.sh("mkdir -p .git/worktrees; cp -r ../kept/* .git/worktrees/; git worktree list | grep -q samestep-view-");
  { const Worktree worktree(repository, second_, {}); }
  EXPECT_THAT(made_.sh("git worktree list"), Not(HasSubstr("samestep-view-")));
}

TEST_F(ACheckout, AWorktreeWhoseProcessWasKilledIsRemovedAtOnceAndNoLiveOne) {
  const Repository repository(made_.root());
  const pid_t killed = ::fork();
  ASSERT_GE(killed, 0);
  if (killed == 0) {
    const Worktree worktree(repository, second_, {});
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(killed, &status, 0), killed);
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto worktrees = [&] { return std::stoi(made_.sh("git worktree list | grep -c samestep-view- || :")); };
  EXPECT_EQ(worktrees(), 1);
  const Worktree live(repository, second_, {});
  EXPECT_EQ(worktrees(), 1);
  const Worktree another(repository, second_, {});
  EXPECT_EQ(worktrees(), 2);
  EXPECT_TRUE(fs::exists(live.root()));
}

TEST_F(ACheckout, ALinkThatCannotBeMadeIsNamedAndLeavesNoWorktree) {
  const Repository repository(made_.root());
  const std::string before = state_of(made_);
  const auto message = [&](const fs::path& link) -> std::string {
    try {
      const Worktree worktree(repository, second_, {link});
    } catch (const BrokenInput& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message("nothing"), HasSubstr("--link nothing: it is not there"));
  EXPECT_THAT(message("train.py"), HasSubstr("does the revision track it?"));
  EXPECT_THAT(message("../elsewhere"), HasSubstr("does not lie in"));
  EXPECT_EQ(state_of(made_), before);
}

}  // namespace
}  // namespace samestep
