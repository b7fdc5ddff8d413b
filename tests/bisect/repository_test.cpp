// Real repositories, made by the git program and read by ours.
#include "bisect/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "replay/run/error.h"
#include "tests/bisect/made_repository.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MadeRepository;
using ::testing::Not;
using ::testing::StartsWith;

class ARepository : public ::testing::Test {
 protected:
  testing::Folder folder_;
  MadeRepository made_{folder_ / "project"};
};

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const BrokenInput& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(ARepository, ResolvesRevisionsAndRefusesWhatIsNone) {
  const std::string first = made_.commit("first"), second = made_.commit("second");
  made_.sh("git tag v1 HEAD~1");
  const Repository repository(made_.root());
  EXPECT_EQ(repository.commit("main"), second);
  EXPECT_EQ(repository.commit("v1"), first);
  EXPECT_EQ(repository.commit(":/fir"), first);
  EXPECT_EQ(repository.commit(second.substr(0, 10)), second);
  for (const char* wrong : {"nothing", "", "--all", "-h", "main:file", "v1..main", "HEAD^{tree}"})
    EXPECT_THAT(message_of([&] { (void)repository.commit(wrong); }), HasSubstr("knows no commit '")) << wrong;
}

TEST_F(ARepository, IsReadFromAFolderInItAndNotFromElsewhere) {
  made_.write("src/deep/a", "1");
  made_.commit("first");
  const Repository repository(made_ / "src/deep");
  EXPECT_EQ(repository.root(), fs::canonical(made_.root()));
  EXPECT_THAT(repository.tracked(repository.commit("main")), ElementsAre("src/deep/a"));
  EXPECT_THAT(message_of([&] { Repository{folder_.path()}; }),
              HasSubstr("no checkout that git can read: fatal: not a"));
  EXPECT_THAT(message_of([&] { Repository{folder_ / "none"}; }), HasSubstr("There is no folder"));
  made_.sh("git init -q --bare ../bare");
  EXPECT_THAT(message_of([&] { Repository{folder_ / "bare"}; }), HasSubstr("is in no checkout"));
}

TEST_F(ARepository, ListsTheCommitsBetweenTwoWithParentsTreesAndWhatTheyTouch) {
  made_.write("train.py", "1");
  const std::string good = made_.commit("good");
  made_.write("docs/a", "1");
  const std::string docs = made_.commit("docs");
  made_.sh("git checkout -q -b side HEAD~1");
  made_.write("train.py", "2");
  const std::string side = made_.commit("side");
  made_.sh("git checkout -q main; git merge -q --no-ff -m merge side");
  made_.sh("git commit -q --allow-empty -m empty");
  const Repository repository(made_.root());
  const auto commits = repository.between(good, repository.commit("main"), {"train.py"});
  ASSERT_EQ(commits.size(), 4U);
  const auto& merge = commits[2];
  EXPECT_THAT(merge.parents, ElementsAre(docs, side));
  EXPECT_EQ(merge.tree, commits[3].tree) << "an empty commit";
  EXPECT_EQ(merge.tree, repository.tree(merge.id));
  for (const RangeCommit& commit : commits)
    EXPECT_EQ(commit.touches, commit.id == side || commit.id == merge.id) << commit.id;
  EXPECT_TRUE(repository.between(good, docs).front().touches) << "without paths every commit counts";
  EXPECT_TRUE(repository.between(good, good).empty());
}

TEST_F(ARepository, SaysWhereNoCommitLeadsFromOneToTheOther) {
  const std::string first = made_.commit("first"), second = made_.commit("second");
  const Repository repository(made_.root());
  EXPECT_THAT(message_of([&] { (void)repository.between(second, first); }), HasSubstr("is no ancestor of the bad one"));
}

TEST_F(ARepository, DescribesACommitAsOneHarmlessLineEach) {
  made_.write("a", "1\n");
  const std::string id = made_.commit("Change \x1b[31mall");
  const CommitDescription description = Repository(made_.root()).describe(id);
  EXPECT_EQ(description.id, id);
  EXPECT_EQ(description.author, "Ada <ada@example.org>");
  EXPECT_EQ(description.date, "2026-01-02T03:04:05+06:00");
  EXPECT_EQ(description.signature, "none");
  EXPECT_EQ(description.subject, "Change \\x1b[31mall");
}

TEST_F(ARepository, ShowsWhatACommitChangedBoundedAndOfMergesAgainstTheFirstParent) {
  made_.write("a", "1\n");
  const std::string root = made_.commit("root");
  made_.write("a", "2\n");
  made_.write("b", "3\n");
  const std::string second = made_.commit("second");
  const Repository repository(made_.root());
  EXPECT_THAT(repository.diff(root).text, HasSubstr("+1"));
  EXPECT_THAT(repository.diff(second, {"b"}).text, AllOf(HasSubstr("+3"), Not(HasSubstr("+2"))));
  const CommitDiff cut = repository.diff(second, {}, 100);
  EXPECT_TRUE(cut.cut);
  EXPECT_LE(cut.text.size(), 100U);
  EXPECT_TRUE(cut.text.ends_with("\n"));
  made_.sh(
      "git checkout -q -b side HEAD~1; echo 4 > c; git add c; git commit -q -m side; git checkout -q main; "
      "git merge -q -m merge side");
  EXPECT_THAT(repository.diff("main").text, AllOf(HasSubstr("+4"), Not(HasSubstr("+3"))));
}

// A repository that came from somebody else: everything that git would start for it leaves a mark.
TEST_F(ARepository, NothingThatItsConfigurationNamesIsStarted) {
  made_.write("a.txt", "1\n");
  made_.write(".gitattributes", "*.txt filter=evil diff=evil\n");
  const std::string first = made_.commit("first");
  made_.write("a.txt", "2\n");
  made_.commit("second");
  const std::string mark = (folder_ / "started").string();
  made_.write(".git/evil", "#!/bin/sh\necho \"$0 $*\" >> '" + mark + "'\ncat\n");
  made_.sh(
      "chmod +x .git/evil; evil=$PWD/.git/evil; for hook in post-checkout post-index-change reference-transaction; "
      "do cp .git/evil .git/hooks/$hook; done;"
      "for name in filter.evil.clean filter.evil.smudge filter.evil.process diff.evil.textconv diff.evil.command "
      "diff.external core.fsmonitor core.pager gpg.program gpg.ssh.program core.sshCommand "
      "core.alternateRefsCommand credential.helper; do git config $name $evil; done;"
      "git config filter.evil.required true; git config log.showSignature true; git config alias.log '!'$evil;");
  // A signature of no key, so that git would ask the program about it.
  made_.sh(
      "git -c filter.evil.process= cat-file commit HEAD > ../commit; "
      "sed '/^committer/a gpgsig -----BEGIN PGP SIGNATURE-----\\n \\n x\\n -----END PGP SIGNATURE-----' ../commit | "
      "git hash-object -t commit -w --stdin > ../signed");
  fs::remove(mark);
  const Repository repository(made_.root());
  const std::string second = repository.commit("main");
  EXPECT_EQ(repository.between(first, second, {"*.txt"}).size(), 1U);
  EXPECT_THAT(repository.diff(second).text, HasSubstr("+2"));
  EXPECT_EQ(repository.describe(second).signature, "none");
  std::string with_signature = testing::text_of(folder_ / "signed");
  with_signature.pop_back();
  EXPECT_THAT(repository.describe(with_signature).signature, Not("good"));
  (void)repository.tracked(second);
  EXPECT_FALSE(fs::exists(mark)) << testing::text_of(mark);
}

TEST(GitConfiguration, WhatTheUserOrTheSystemNamesStandsInPlaceOfWhatTheRepositoryDoes) {
  const auto entry = [](const std::string& scope, const std::string& text) {
    return scope + std::string(1, '\0') + text + std::string(1, '\0');
  };
  const auto settings = harmless_settings(
      entry("global", "filter.lfs.smudge\ngit-lfs smudge") + entry("local", "filter.lfs.smudge\nevil") +
      entry("local", "filter.a.b.process\nevil") + entry("worktree", "filter.x.required\ntrue") +
      entry("local", "gpg.ssh.program\nevil") + entry("local", "gpg.program\nevil") + entry("local", "user.name\nAda") +
      entry("local", "gpg.ssh.allowedsignersfile\nevil") + entry("global", "gpg.ssh.revocationfile\nmine") +
      entry("local", "gpg.ssh.revocationfile\nevil") + entry("global", "filter.own.clean\nmine"));
  const std::map<std::string, std::string> expected{{"filter.lfs.smudge", "git-lfs smudge"},
                                                    {"filter.a.b.process", ""},
                                                    {"filter.x.required", "false"},
                                                    {"gpg.ssh.program", "ssh-keygen"},
                                                    {"gpg.ssh.allowedsignersfile", "/dev/null"},
                                                    {"gpg.ssh.revocationfile", "mine"},
                                                    {"gpg.program", "gpg"}};
  EXPECT_EQ(settings, expected);
}

// What git knows of the user is in the user's own home.
class SignedCommits : public ARepository {
 protected:
  void SetUp() override {
    ASSERT_EQ(std::system("command -v ssh-keygen >/dev/null"), 0)
        << "install openssh-client (scripts/debian-packages.txt): git asks ssh-keygen about signatures";
    for (const char* who : {"ada", "eve"})
      made_.sh("ssh-keygen -q -t ed25519 -N '' -C " + std::string(who) + " -f '" + key_of(who) + "'; (printf '" + who +
               "@example.org '; cat '" + key_of(who) + ".pub') > '" + signers_of(who) + "'");
    home_ = std::getenv("HOME");
    ::setenv("HOME", folder_.path().c_str(), 1);
    std::ofstream(folder_ / ".gitconfig") << "[gpg \"ssh\"]\n  allowedSignersFile = " << signers_of("ada") << "\n";
  }
  void TearDown() override {
    if (home_) ::setenv("HOME", home_, 1);
  }
  [[nodiscard]] std::string key_of(const std::string& who) const { return (folder_ / who).string(); }
  [[nodiscard]] std::string signers_of(const std::string& who) const { return key_of(who) + ".signers"; }
  std::string commit_by(const std::string& who, const std::string& subject) const {
    return made_.sh("git -c gpg.format=ssh -c user.signingKey='" + key_of(who) + "' commit -q --allow-empty -S -m '" +
                    subject + "'; printf %s $(git rev-parse HEAD)");
  }
  [[nodiscard]] CommitDescription described(const std::string& commit) const {
    return Repository(made_.root()).describe(commit);
  }
  const char* home_ = nullptr;
};

TEST_F(SignedCommits, AreGoodByAKeyThatTheUserKnows) {
  const CommitDescription commit = described(commit_by("ada", "mine"));
  EXPECT_EQ(commit.signature, "good");
  EXPECT_EQ(commit.signer, "ada@example.org");
  EXPECT_EQ(described(commit_by("eve", "unknown")).signature, "good, of unknown validity");
}

TEST_F(SignedCommits, ThatWereChangedSinceAreBad) {
  const std::string forged =
      made_.sh("git cat-file commit " + commit_by("ada", "mine") +
               " | sed s/mine/forged/ > ../forged; printf %s $(git hash-object -t commit -w ../forged)");
  EXPECT_EQ(described(forged).subject, "forged");
  EXPECT_EQ(described(forged).signature, "bad");
}

TEST_F(SignedCommits, AreNotGoodBecauseTheRepositorySaysSo) {
  const std::string commit = commit_by("eve", "trust me");
  made_.sh("git config gpg.ssh.allowedSignersFile '" + signers_of("eve") + "'");
  EXPECT_EQ(described(commit).signature, "good, of unknown validity");
  made_.sh("git config gpg.ssh.revocationFile '" + key_of("ada") + ".pub'");
  EXPECT_EQ(described(commit_by("ada", "mine")).signature, "good");
  fs::remove(folder_ / ".gitconfig");
  EXPECT_EQ(described(commit).signature, "good, of unknown validity") << "with nothing of the user's in its place";
}

// Replacements and grafts show another commit under the id of one.
TEST_F(ARepository, ReplacedObjectsAreReadAsTheyAre) {
  const std::string first = made_.commit("first"), second = made_.commit("second"), third = made_.commit("third");
  made_.sh("git replace " + second + " $(git commit-tree -m other -p " + first + " " + first + "^{tree})");
  EXPECT_EQ(Repository(made_.root()).describe(second).subject, "second");
}

}  // namespace
}  // namespace samestep
