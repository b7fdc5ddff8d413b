// Which differences between two environments are items, and which are not.
#include "bisect/environment_items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "replay/run/error.h"
#include "tests/player/written_run.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = EnvironmentDifference::Kind;

json with(const json& values, const json& pins = json::object()) {
  json what{{"environment", {{"values", values}, {"names", json::array()}}}, {"pins", json::array()}};
  for (const auto& [name, value] : pins.items()) what["pins"].push_back({{"name", name}, {"value", value}});
  return what;
}

std::vector<std::string> names(const EnvironmentItems& items) {
  std::vector<std::string> found;
  for (const EnvironmentItem& item : items.items) found.push_back(item.name);
  return found;
}

std::string kept(const EnvironmentItems& items) {
  std::string text;
  for (const KeptDifference& each : items.kept) text += each.what + " (" + each.why + ")\n";
  return text;
}

TEST(VariableItems, AreThePinsAndWhatElseSteersComputing) {
  const EnvironmentItems found =
      variable_items(with({{"KMP_BLOCKTIME", "0"}, {"LANG", "C"}}, {{"OMP_NUM_THREADS", "2"}, {"MKL_CBWR", nullptr}}),
                     with({{"LANG", "C"}}, {{"OMP_NUM_THREADS", "1"}, {"MKL_CBWR", "AVX512"}}), true, true);
  EXPECT_THAT(names(found), ElementsAre("KMP_BLOCKTIME", "MKL_CBWR", "OMP_NUM_THREADS"));
  EXPECT_EQ(found.items[0].other_value, std::nullopt);
  EXPECT_EQ(found.items[1].recorded, "(not set)");
  EXPECT_EQ(found.items[2].recorded_value, "2");
  EXPECT_EQ(found.items[2].other_value, "1");
}

// A manifest has its name alone, and not even that where it was not set.
TEST(VariableItems, AreAlsoThoseThatWereNotSetWhenItWasRecorded) {
  json now = with(json::object());
  now["environment"]["names"] = {"HOME", "MY_SCALE", "TERM"};
  json before = with(json::object());
  before["environment"]["names"] = {"HOME"};
  ::setenv("MY_SCALE", "a \"text\"", 1);
  const EnvironmentItems found = variable_items(before, now, true, true);
  ::unsetenv("MY_SCALE");
  ASSERT_THAT(names(found), ElementsAre("MY_SCALE"));
  EXPECT_EQ(found.items[0].recorded_value, std::nullopt);
  EXPECT_EQ(found.items[0].other_value, "a \"text\"");
  EXPECT_THAT(variable_items(with(json::object()), before, false, true).items, IsEmpty());
}

TEST(VariableItems, AreNeitherTheSecretNorTheJobNorUnknownOnASide) {
  EXPECT_THAT(variable_items(with({{"RANK", "0"}, {"MKL_DEBUG_CPU_TYPE", "5"}}, {{"SAMESTEP_ENTROPY", "ab"}}),
                             {{"pins", json::array({{{"name", "SAMESTEP_ENTROPY"}, {"value", "cd"}}})}}, false, true)
                  .items,
              IsEmpty());
}

TEST(VariableItems, NeverSayWhatCodeIsLoadedFromWhere) {
  const EnvironmentItems found =
      variable_items(with({{"LD_PRELOAD", "evil.so"}, {"PYTHONPATH", "/tmp/evil"}, {"TORCH_HOME", "/tmp/evil"}}),
                     with(json::object()), true, true);
  EXPECT_THAT(found.items, IsEmpty());
  EXPECT_THAT(kept(found), HasSubstr("LD_PRELOAD: evil.so against (not set) (it says what code is loaded from where"));
  EXPECT_THAT(kept(found), HasSubstr("TORCH_HOME: /tmp/evil against (not set) (its value is no plain one"));
}

TEST(VariableItems, OfAnotherUsersRunAreThePinsAlone) {
  const EnvironmentItems found =
      variable_items(with({{"KMP_BLOCKTIME", "0"}}, {{"OMP_NUM_THREADS", "2"}}),
                     with({{"KMP_BLOCKTIME", "9"}}, {{"OMP_NUM_THREADS", "1"}}), true, false);
  EXPECT_THAT(names(found), ElementsAre("OMP_NUM_THREADS"));
  EXPECT_THAT(kept(found), HasSubstr("another user's"));
}

class FileItems : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
    return fs::canonical(folder_ / name).string();
  }
  EnvironmentDifference changed(const std::string& path, const std::string& recorded, const std::string& now) const {
    return {Kind::file,
            path,
            digest(recorded).hex().substr(0, 12),
            digest(now).hex().substr(0, 12),
            {path, digest(recorded).hex()},
            {path, digest(now).hex()}};
  }
  EnvironmentItems items_of(const std::vector<EnvironmentDifference>& differences,
                            const std::vector<fs::path>& from = {}, const FileItemOptions& options = {}) const {
    FileSources sources(from);
    EnvironmentItems items;
    add_differences(items, differences, sources, options);
    return items;
  }

  testing::Folder folder_;
};

TEST_F(FileItems, TakeTheRecordedBytesFromWhereTheyAreByDigest) {
  const std::string path = write("env/torch/adam.py", "patched");
  write("copy/other/adam.py", "no");
  const std::string original = write("copy/torch/adam.py", "original");
  const EnvironmentItems found = items_of({changed(path, "original", "patched")}, {folder_ / "copy"});
  ASSERT_EQ(found.items.size(), 1U) << kept(found);
  EXPECT_EQ(found.items[0].recorded_bytes, original);
  EXPECT_EQ(found.items[0].other_bytes, std::nullopt) << "it lies there";
  EXPECT_THAT(found.items[0].places, ElementsAre(path));
}

TEST_F(FileItems, WhoseBytesAreNowhereAreKeptWithAWordOnWhatToDo) {
  const std::string path = write("env/adam.py", "patched");
  EXPECT_THAT(kept(items_of({changed(path, "original", "patched")})), HasSubstr("nowhere at hand: --from a folder"));
  EXPECT_THROW(FileSources({folder_ / "nowhere"}), BrokenInput);
}

TEST_F(FileItems, OfAnotherRunNeedBothBytes) {
  const std::string path = write("env/adam.py", "third");
  const std::string a = write("a/adam.py", "one"), b = write("b/adam.py", "two");
  FileItemOptions another;
  another.other_is_now = false;
  EXPECT_THAT(items_of({changed(path, "one", "two")}, {a}, another).items, IsEmpty());
  const EnvironmentItems found = items_of({changed(path, "one", "two")}, {a, b}, another);
  ASSERT_EQ(found.items.size(), 1U) << kept(found);
  EXPECT_EQ(found.items[0].recorded_bytes, a);
  EXPECT_EQ(found.items[0].other_bytes, b);
}

TEST_F(FileItems, WhatPythonCompiledGoesWithItsSource) {
  const std::string path = write("env/adam.py", "patched");
  const std::string compiled = write("env/__pycache__/adam.cpython-311.pyc", "compiled");
  const EnvironmentItems found =
      items_of({changed(path, "original", "patched"), changed(compiled, "before", "compiled")});
  EXPECT_EQ(found.kept.size(), 1U) << kept(found);
}

TEST_F(FileItems, WhatFollowsFromAVariableIsNotTold) {
  EnvironmentItems items =
      variable_items(with({}, {{"OMP_NUM_THREADS", "2"}}), with({}, {{"OMP_NUM_THREADS", "1"}}), true, true);
  FileSources sources({});
  const std::vector<EnvironmentDifference> settings{{Kind::setting, "threads.intra", "2", "1"},
                                                    {Kind::setting, "OMP_NUM_THREADS", "2", "1"},
                                                    {Kind::setting, "machine.processor", "a", "b"},
                                                    {Kind::setting, "distribution torch", "2.14", "2.15"}};
  add_differences(items, settings, sources, {});
  EXPECT_EQ(items.items.size(), 1U);
  EXPECT_EQ(kept(items),
            "machine.processor: a against b (it is of the machine)\n"
            "distribution torch: 2.14 against 2.15 (another version of a package is another set of files: "
            "--requirements tries versions)\n");
}

TEST_F(FileItems, AThreadCountThatNoVariableDecidedIsAnItem) {
  const EnvironmentItems found = items_of({{Kind::setting, "threads.intra", "2", "4"}});
  ASSERT_EQ(found.items.size(), 1U);
  EXPECT_EQ(found.items[0].variable, "OMP_NUM_THREADS");
  EXPECT_EQ(found.items[0].recorded_value, "2");
}

}  // namespace
}  // namespace samestep
