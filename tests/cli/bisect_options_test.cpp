// The options of `samestep bisect`, each in a whole bisect.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replay/run/manifest.h"
#include "tests/cli/bisecting.h"
#include "tests/view/possible_view.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Bisecting;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

TEST_F(Bisecting, WhatAnEnvironmentsBisectHasNoUseForIsRefused) {
  for (const std::string option :
       {"--bad HEAD", "--path run.sh", "--first-parent", "--resume bisected", "--all", "--bad-run kept", "--jobs 2",
        "--executor slurm", "--slurm-option time=5", "--steps 5"})
    expect_refused("run " + option + " --environment", option.substr(0, option.find(' ')) +
                                                           " is for a bisect over commits: leave it out with "
                                                           "--environment");
  expect_refused("run --in-place --link data --environment", "--link is for a bisect over commits");
  expect_refused("run --junit report.xml --environment", "--junit is for a bisect over commits");
  expect_refused("run --build make --environment", "--environment builds nothing but the revision of --good");
}

TEST_F(Bisecting, APathThatNoCommitChangesIsSaid) {
  expect_refused("run " + ends_ + " --path nothing", "--path: no commit between " + commits_.front().substr(0, 12) +
                                                         " and " + commits_.back().substr(0, 12) + " changes nothing");
  EXPECT_EQ(bisect("run " + ends_ + " --path nothing --path run.sh")["culprit"]["commit"], commits_[5]);
  EXPECT_THAT(errors(), HasSubstr("changes nothing;"));
}

// Whoever watches a file sees each trial as it ends; only a terminal has a picture instead.
TEST_F(Bisecting, OfEachTrialALineIsSaidWhereNoTerminalIs) {
  const json found = bisect("run " + ends_);
  std::istringstream said(errors());
  std::size_t told = 0;
  for (std::string line; std::getline(said, line);) told += line.starts_with("samestep: trial ") ? 1 : 0;
  EXPECT_EQ(told, found["trials"].get<std::size_t>()) << errors();
  EXPECT_THAT(errors(), HasSubstr(commits_[5].substr(0, 8) + " Say <# 5> & more diverged at step 12 in gradients; "));
}

// As those of a run that was given are: its data, and none of the files that a revision or a trial brings itself.
TEST_F(Bisecting, WithoutARunTheDataThatTheGoodRevisionReadsIsWatched) {
  if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
  made_.write(".git/info/exclude", "data\nmade\nsamestep-runs\n");
  made_.write("data", "1");
  made_.sh("git checkout -q -b reading " + commits_.front());
  const std::string reads = "cat data run.sh > made; cat made > /dev/null #";
  const std::string good = program(reads + "1", ""), bad = program(reads + "2", " --edit gradients:12");
  const std::string words = "--good " + good + " --bad " + bad + " --steps 20";
  EXPECT_EQ(bisect(words + own_folder() + " -- /bin/sh run.sh")["culprit"]["commit"], bad);
  const json what = json::parse(testing::text_of(folder_ / "bisected/reference/manifest.json"))["what"];
  std::vector<std::string> read;
  for (const json& file : what["reads"]["files"])
    if (file["path"].get<std::string>().starts_with(made_.root().string())) read.push_back(file["path"]);
  EXPECT_EQ(read, std::vector{(made_ / "data").string()});
  EXPECT_FALSE(what.contains("writes")) << what["writes"];
  EXPECT_FALSE(fs::exists(made_ / "made"));
}

TEST_F(Bisecting, KeepsTheBadRevisionsReplayAsARun) {
  const json found = bisect("run " + ends_ + " --bad-run kept");
  EXPECT_EQ(found["culprit"]["commit"], commits_[5]);
  EXPECT_EQ(samestep("diff --json run kept"), 1) << out() << errors();
  const json verdict = json::parse(out());
  EXPECT_EQ(verdict["step"], 12);
  EXPECT_EQ(verdict["lane"], "gradients");
  EXPECT_EQ(samestep("inspect kept"), 0) << errors();
  expect_refused("run " + ends_ + " --bad-run kept", "kept");
}

// What is not tracked is there in a worktree where a link leads to it.
TEST_F(Bisecting, InWorktreesDataIsFoundThroughALink) {
  made_.write(".git/info/exclude", "data\nsamestep-runs\n");
  made_.write("data/digits", "");
  made_.sh("git checkout -q -b linked " + commits_.front());
  const std::string needs = "test -e data/digits || exit 3 #";
  const std::string good = program(needs + "1", ""), bad = program(needs + "2", " --edit gradients:12");
  const std::string ends = "run --in-place --good " + good + " --bad " + bad;
  EXPECT_EQ(bisect(ends + " --link data")["culprit"]["commit"], bad);
  EXPECT_EQ(bisect(ends, 2)["conclusion"], "untestable");
  expect_refused(ends + " --link none", "--link none: it is not there");
}

TEST_F(Bisecting, OfALinkedWorktreeWorksThere) {
  if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
  made_.sh("git worktree add -q ../linked " + commits_[2]);
  Manifest manifest = read_manifest(made_ / "run");
  manifest.what["cwd"] = manifest.what["revision"]["top"] = made_.root().string();  // as any recording has it
  write_manifest(made_ / "run", manifest);
  const std::string before = made_.sh("git worktree list; git status --porcelain; git -C ../linked status --porcelain");
  EXPECT_EQ(bisect("run --repo ../linked " + ends_ + own_folder())["culprit"]["commit"], commits_[5]);
  EXPECT_EQ(made_.sh("git worktree list; git status --porcelain; git -C ../linked status --porcelain"), before);
  EXPECT_THAT(testing::text_of(folder_ / "linked/run.sh"), HasSubstr("# 2"));
}

// The commit that takes another commit of the submodule changes what trains.
TEST_F(Bisecting, ACommitOfASubmoduleIsAccused) {
  if (!testing::view_refusal().empty()) GTEST_SKIP() << testing::view_refusal();
  const testing::MadeRepository part(folder_ / "part");
  std::vector<std::string> parts;
  for (const char* words : {"# 1", "# 2", "--edit gradients:12 # 3"}) {
    part.write("words", words);
    parts.push_back(part.commit(words));
  }
  made_.sh("git checkout -q -b whole " + commits_.front() +
           "; git -c protocol.file.allow=always submodule --quiet add ../part part");
  made_.write("run.sh", "eval exec " SAMESTEP_FRAMES_TRAINER " $(cat part/words)\n");
  std::vector<std::string> wholes;
  for (const std::string& commit : parts) {
    made_.sh("git -C part checkout -q " + commit);
    wholes.push_back(made_.commit("take " + commit));
  }
  const json found = bisect("run --good " + wholes.front() + " --bad " + wholes.back() + own_folder());
  EXPECT_EQ(found["culprit"]["commit"], wholes[2]);
  EXPECT_THAT(found["diff"].dump(), HasSubstr("Subproject commit " + parts[2]));
  EXPECT_EQ(made_.sh("git -C part rev-parse HEAD"), parts[2] + "\n");
}

// --- Histories with merges -------------------------------------------------------------------------------------------

class WithASideBranch : public Bisecting {
 protected:
  // base - main - merge, and side beside `main`, which changes the training.
  WithASideBranch() {
    made_.sh("git checkout -q -b trunk " + commits_.front());
    base_ = program("# base", "");
    made_.sh("git checkout -q -b side");
    side_ = program("# side", " --edit gradients:12");
    made_.sh("git checkout -q trunk");
    made_.write("note", "main");
    main_ = made_.commit("main");
    made_.sh("git merge -q --no-ff -m merge side");
    merge_ = made_.sh("printf %s $(git rev-parse HEAD)");
  }
  std::string base_, side_, main_, merge_;
};

TEST_F(WithASideBranch, TheCommitOnItIsAccusedAndAlongFirstParentsItsMerge) {
  const std::string ends = "run --good " + base_ + " --bad " + merge_;
  EXPECT_EQ(bisect(ends)["culprit"]["commit"], side_);
  EXPECT_EQ(bisect(ends + " --first-parent")["culprit"]["commit"], merge_);
}

// A change that is taken back lies between two that behave alike.
TEST_F(Bisecting, AllChangesAndAssumedMonotoneFewer) {
  made_.sh("git checkout -q -b changing " + commits_.front());
  std::vector<std::string> commits;
  for (const char* words : {"", " --edit loss:9", "", "", "", " --edit gradients:12"})
    commits.push_back(program("# " + std::to_string(commits.size()), words));
  const auto changes = [&](const std::string& more, int code) {
    std::vector<std::string> found;
    const json answer = bisect("run --all --good " + commits.front() + " --bad " + commits.back() + more, code);
    for (const json& change : answer["changes"]) found.push_back(change["commits"][0]["commit"]);
    return found;
  };
  EXPECT_EQ(changes("", 0), (std::vector{commits[1], commits[2], commits[5]}));
  EXPECT_EQ(changes(" --assume-monotone", 0), std::vector{commits[5]});
  expect_refused("run " + ends_ + " --assume-monotone", "--all");
}

}  // namespace
}  // namespace samestep
