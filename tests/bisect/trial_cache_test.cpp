// Answers kept on disk, and what others could put there.
#include "bisect/trial_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "replay/run/error.h"
#include "tests/player/written_run.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ATrialCache : public ::testing::Test {
 protected:
  TrialCache cache() {
    return TrialCache(folder_ / "trials", [this](const std::string& line) { warned_ += line + "\n"; });
  }
  [[nodiscard]] fs::path only_file() const { return fs::directory_iterator(folder_ / "trials")->path(); }
  [[nodiscard]] std::string text() const {
    std::ostringstream text;
    text << std::ifstream(only_file()).rdbuf();
    return text.str();
  }
  // The kept file holds `text` now: it is refused, and the warning has `why`.
  void expect_refused(const std::string& text, const std::string& why) {
    std::ofstream(only_file(), std::ios::trunc) << text;
    warned_.clear();
    EXPECT_FALSE(cache().find(key_)) << text;
    EXPECT_THAT(warned_, HasSubstr(why));
  }
  static TrialAnswer divergence() {
    TrialAnswer answer;
    answer.outcome = TrialOutcome::diverged;
    answer.step = 9;
    answer.lane = Lane::loss;
    answer.tensor = "fc.weight";
    answer.why = "it differs";
    answer.behaviour = std::string(64, 'a');
    answer.steps_replayed = 7;
    return answer;
  }

  testing::Folder folder_;
  std::string warned_;
  nlohmann::json key_{{"tree", "abc"}, {"sample", 0}};
};

TEST_F(ATrialCache, GivesBackWhatWasKeptForTheSameQuestionAlone) {
  cache().keep(key_, divergence());
  const auto found = cache().find(key_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->outcome, TrialOutcome::diverged);
  EXPECT_EQ(found->step, 9U);
  EXPECT_EQ(found->lane, Lane::loss);
  EXPECT_EQ(found->tensor, "fc.weight");
  EXPECT_EQ(found->why, "it differs");
  EXPECT_EQ(found->behaviour, std::string(64, 'a'));
  EXPECT_EQ(found->steps_replayed, 0U) << "nothing was replayed for it";
  key_["sample"] = 1;
  EXPECT_FALSE(cache().find(key_));
  EXPECT_EQ(warned_, "");
}

TEST_F(ATrialCache, AnEmptyFolderKeepsNothing) {
  const TrialCache none("", [](const std::string& line) { FAIL() << line; });
  none.keep(key_, {});
  EXPECT_FALSE(none.find(key_));
}

TEST_F(ATrialCache, WhatIsNoAnswerIsRefusedInWordsAndTheTrialIsMade) {
  cache().keep(key_, divergence());
  const std::string good = text();
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string changed = good;
    changed.replace(changed.find(from), from.size(), to);
    return changed;
  };
  expect_refused("", "not used");
  expect_refused(good.substr(0, good.size() / 2), "not used");
  expect_refused(std::string(10000, '['), "not used");
  expect_refused(std::string(std::size_t{2} << 20, ' '), "larger than 1048576 bytes");
  expect_refused(replaced("\"diverged\"", "\"good\""), "no trial ends in 'good'");
  expect_refused(replaced("\"loss\"", "\"lost\""), "there is no lane 'lost'");
  expect_refused(replaced("\"step\": 9", "\"step\": -9"), "step");
  expect_refused(replaced("\"step\": 9", "\"step\": null"), "a divergence without a step");
  expect_refused(replaced("\"aaa", "\"xaa"), "no digest");
  expect_refused(replaced("\"abc\"", "\"abd\""), "answers another question");
  expect_refused(replaced("\"sample\": 0", "\"sample\": 1"), "answers another question");
  expect_refused(replaced("\"version\": 1", "\"version\": 2"), "another version");
}

TEST_F(ATrialCache, AFileThatOthersCouldHaveWrittenIsNotBelieved) {
  cache().keep(key_, divergence());
  fs::permissions(only_file(), fs::perms::others_write, fs::perm_options::add);
  EXPECT_FALSE(cache().find(key_));
  EXPECT_THAT(warned_, HasSubstr("others may write to it"));
  const fs::path file = only_file();
  fs::rename(file, folder_ / "elsewhere");
  fs::permissions(folder_ / "elsewhere", fs::perms::others_write, fs::perm_options::remove);
  fs::create_symlink(folder_ / "elsewhere", file);
  EXPECT_FALSE(cache().find(key_)) << "it followed a link";
  fs::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_FALSE(cache().find(key_)) << "it waited for a pipe";
}

TEST_F(ATrialCache, AFolderThatCannotBeWrittenIsSaidAndHarmsNothing) {
  std::ofstream(folder_ / "trials") << "a file";
  cache().keep(key_, divergence());
  EXPECT_THAT(warned_, HasSubstr("cannot be kept"));
}

}  // namespace
}  // namespace samestep
