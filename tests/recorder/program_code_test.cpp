// What code a program ran: modules, the packages they came with, and whether these are as they were installed.
#include "replay/recorder/program_code.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "replay/recorder/program_output.h"
#include "tests/run/temporary_folder.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::chrono::seconds patience{20};
// As Python's hashlib and base64 say it of "x = 1\n".
constexpr const char* sha256_of_one = "nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q";

TEST(Record, StatesASha256OfAFile) {
  const auto file = parse_record_line(std::string("pack/one.py,sha256=") + sha256_of_one + ",6");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->name, "pack/one.py");
  EXPECT_EQ(file->sha256.hex().size(), 64U);
  const auto quoted = parse_record_line(std::string("\"a, \"\"b\"\".py\",sha256=") + sha256_of_one + ",6");
  ASSERT_TRUE(quoted);
  EXPECT_EQ(quoted->name, "a, \"b\".py");
}

TEST(Record, StatesNothingInALineThatMakesNoSense) {
  for (const char* line : {"", ",", "RECORD,,", "a.py,md5=00,1", "a.py,sha256=short,1", "\"open",
                           "\"open,sha256=", "a.py,sha256=?ia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q,6",
                           ",sha256=nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q,6"})
    EXPECT_FALSE(parse_record_line(line)) << line;
}

// A folder of packages: pack 1.2, of which one.py is as installed.
class Packages : public ::testing::Test {
 protected:
  void SetUp() override {
    write("pack/one.py", "x = 1\n");
    write("pack/two.py", "x = 1\n");
    write("pack-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: pack\nVersion: 1.2\n\nName: not this one\n");
    write("pack-1.2.dist-info/RECORD", std::string("pack/one.py,sha256=") + sha256_of_one + ",6\npack/two.py,sha256=" +
                                           sha256_of_one + ",6\npack-1.2.dist-info/RECORD,,\n");
    write("old.egg-info/PKG-INFO", "Name: old\nVersion: 0.1\n");
    write("broken-1.dist-info/METADATA", "no header at all");
  }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }
  // What a program that had imported both modules leaves in a manifest.
  [[nodiscard]] json described(const std::string& script = "") const {
    FileDigests files{fs::path()};
    ProgramCode code(files, {});
    code.add({"start", script, {{"pack.one", path("pack/one.py")}}, {}, {folder_.string()}});
    code.add({"end", script, {{"pack.one", path("pack/one.py")}, {"pack.two", path("pack/two.py")}}, {}, {}});
    json what{{"revision", nullptr}};
    code.settle();
    code.describe(what, files.finish(patience), patience);
    return what;
  }
  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
};

TEST_F(Packages, AreReadFromTheirOwnMetadata) {
  const auto found = distributions_in(folder_);
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].name, "old");
  EXPECT_FALSE(found[0].has_record);
  EXPECT_EQ(found[1].version, "1.2");
  EXPECT_THAT(found[1].files, SizeIs(2));
  EXPECT_THAT(distributions_in(folder_ / "nowhere"), IsEmpty());
}

TEST_F(Packages, ModulesAreListedWithTheMomentTheyWereThereFrom) {
  const json what = described();
  ASSERT_THAT(what["files"], SizeIs(2));
  EXPECT_EQ(what["files"][0]["module"], "pack.one");
  EXPECT_EQ(what["files"][0]["since"], "start");
  EXPECT_EQ(what["files"][0]["distribution"], "pack");
  EXPECT_EQ(what["files"][0]["digest"], digest("x = 1\n").hex());
  EXPECT_EQ(what["files"][1]["since"], "end");
}

TEST_F(Packages, AsInstalledHaveNoChangedFile) {
  const json what = described();
  ASSERT_THAT(what["distributions"], SizeIs(2));
  EXPECT_EQ(what["distributions"][1]["name"], "pack");
  EXPECT_EQ(what["distributions"][1]["used"], true);
  EXPECT_EQ(what["distributions"][1]["checked"], 2);
  EXPECT_FALSE(what["distributions"][1].contains("changed"));
  EXPECT_EQ(what["distributions"][0]["used"], false);
  EXPECT_THAT(changed_packages(what), IsEmpty());
}

// The incident: an installed package was edited in place, out of git's sight.
TEST_F(Packages, WithAnEditedFileNameIt) {
  write("pack/two.py", "x = 2\n");
  const json what = described();
  EXPECT_EQ(what["distributions"][1]["changed"], json::array({"pack/two.py"}));
  EXPECT_THAT(changed_packages(what), ElementsAre(HasSubstr("pack 1.2: pack/two.py has other bytes")));
}

// Debian strips the libraries of its packages after their RECORD was written, and names no INSTALLER.
TEST_F(Packages, ThatNoInstallerKeptAreNotHeldToTheirLibraries) {
  write("pack-1.2.dist-info/RECORD", std::string("pack/c.so,sha256=") + sha256_of_one + ",6\n");
  EXPECT_THAT(distributions_in(folder_)[1].files, IsEmpty());
  write("pack-1.2.dist-info/INSTALLER", "pip\n");
  EXPECT_THAT(distributions_in(folder_)[1].files, SizeIs(1));
}

TEST_F(Packages, AreFoundThroughALinkToTheirFolder) {
  fs::create_directory_symlink(folder_, folder_.string() + "-link");
  FileDigests files{fs::path()};
  ProgramCode code(files, {});
  code.add({"start", "", {{"pack.one", path("pack/one.py")}}, {}, {folder_.string() + "-link"}});
  json what;
  code.settle();
  code.describe(what, files.finish(patience), patience);
  fs::remove(folder_.string() + "-link");
  EXPECT_EQ(what["files"][0]["distribution"], "pack");
}

TEST_F(Packages, TheScriptsOwnRepositoryIsDescribed) {
  write("project/train.py", "pass\n");
  const std::vector<std::string> git{
      "sh", "-c", "git init -q -b trunk . && git add . && git -c user.email=a@b -c user.name=a commit -qm first"};
  ASSERT_TRUE(output_of(git, folder_ / "project", patience, 1000));
  write("project/new.py", "pass\n");
  const json what = described(path("project/train.py"));
  EXPECT_EQ(what["script_revision"]["branch"], "trunk");
  EXPECT_EQ(what["script_revision"]["untracked"], json::array({"new.py"}));
}

TEST(ProgramCode, OfAProgramThatToldNothingIsItsFilesAlone) {
  FileDigests files{fs::path()};
  ProgramCode code(files, {});
  json what;
  code.settle();
  code.describe(what, files.finish(patience), patience);
  EXPECT_EQ(what, json({{"files", json::array()}}));
}

}  // namespace
}  // namespace samestep
