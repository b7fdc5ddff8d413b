// What is seen of a machine and of a Python.
#include "replay/doctor/situation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/run/temporary_folder.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Python, IsTheOneThatRunsTheCommand) {
  const std::vector<std::string> plain{"/venv/bin/python3.11", "train.py"},
      wrapped{"env", "A=1", "python", "-m", "train"}, none{"./trainer", "pythonic"};
  EXPECT_EQ(python_of(plain), "/venv/bin/python3.11");
  EXPECT_EQ(python_of(wrapped), "python");
  EXPECT_EQ(python_of(none), "python3");
}

TEST(Machine, CountsTheKernelsMemoryErrors) {
  const TemporaryFolder folder;
  for (const char* controller : {"mc0", "mc1"}) {
    fs::create_directories(folder / controller);
    std::ofstream(folder / controller / "ce_count") << "2\n";
    std::ofstream(folder / controller / "ue_count") << "1\n";
  }
  Situation situation;
  count_memory_errors(folder.path(), situation);
  EXPECT_EQ(situation.memory_errors_corrected, 4U);
  EXPECT_EQ(situation.memory_errors_uncorrected, 2U);
  count_memory_errors(folder / "nowhere", situation);
  EXPECT_EQ(situation.memory_errors_corrected, 4U);
}

// A program that answers as a Python would, and the packages on its module path.
class FakePython : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    write("site/pack/one.py", "x = 1\n");
    write("site/sitecustomize.py", "x = 1\n");
    write("site/pack-1.2.dist-info/METADATA", "Name: pack\nVersion: 1.2\n");
    write("site/pack-1.2.dist-info/RECORD", "pack/one.py,sha256=nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q,6\n");
    answer(nlohmann::json{{"executable", "/fake/python"},
                          {"version", "3.11"},
                          {"torch", "2.14.1"},
                          {"built", "2.14.1"},
                          {"start", {(folder_ / "site/sitecustomize.py").string()}},
                          {"path", {(folder_ / "site").string()}}}
               .dump());
  }
  void TearDown() override { ::unsetenv("XDG_CACHE_HOME"); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  void answer(const std::string& text) const {
    write("python", "#!/bin/sh\ncat <<'END'\n" + text + "\nEND\n");
    fs::permissions(folder_ / "python", fs::perms::owner_all);
  }
  [[nodiscard]] std::optional<PythonSituation> seen() const {
    return look_at_python((folder_ / "python").string(), folder_.path());
  }
  const TemporaryFolder folder_;
};

TEST_F(FakePython, SaysWhatItHas) {
  const auto python = seen();
  ASSERT_TRUE(python);
  EXPECT_EQ(python->executable, "/fake/python");
  EXPECT_EQ(python->torch, "2.14.1");
  EXPECT_THAT(python->changed_packages, IsEmpty());
}

TEST_F(FakePython, WithAnEditedPackageNamesTheFile) {
  write("site/pack/one.py", "x = 2\n");
  const auto python = seen();
  ASSERT_TRUE(python);
  EXPECT_THAT(python->changed_packages, ElementsAre(HasSubstr("pack 1.2: pack/one.py has other bytes")));
}

TEST_F(FakePython, WithAStartFileThatNoPackageInstalledNamesIt) {
  const auto python = seen();
  ASSERT_TRUE(python);
  EXPECT_THAT(python->start_files, ElementsAre(HasSubstr("sitecustomize.py")));
  write("site/pack-1.2.dist-info/RECORD", "sitecustomize.py,sha256=nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q,6\n");
  EXPECT_THAT(seen()->start_files, IsEmpty());
}

TEST_F(FakePython, ThatMakesNoSenseIsNone) {
  answer("Segmentation fault");
  EXPECT_FALSE(seen());
  answer(R"({"executable": 3})");
  EXPECT_FALSE(seen());
  EXPECT_FALSE(look_at_python("/nowhere/python", folder_.path()));
}

}  // namespace
}  // namespace samestep
