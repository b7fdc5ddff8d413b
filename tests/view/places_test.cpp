// Which folders a view lays over, where it keeps what is written, which refused writes it can name: without namespaces.
#include "replay/view/places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "replay/run/error.h"
#include "replay/view/refused_writes.h"
#include "replay/view/storage.h"
#include "replay/view/view.h"
#include "tests/player/written_run.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Mounts, AreReadFromTheKernelsText) {
  const std::vector<Mount> mounts = parse_mounts(
      "27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw\n"
      "31 27 0:25 / /mnt/my\\040disk ro - tmpfs none ro\n"
      "a line of something else\n"
      "\n"
      "32 27 0:26 / /mnt/cut rw -");
  EXPECT_THAT(mounts, ElementsAre(Mount{27, "/", "ext4"}, Mount{31, "/mnt/my disk", "tmpfs"}));
}

TEST(Mounts, BeneathAFolderComeOuterOnesFirstAndOncePerPlace) {
  const std::vector<Mount> mounts{
      {5, "/a/b/c", "ext4"}, {2, "/a/b", "ext4"}, {3, "/a/b", "tmpfs"}, {1, "/a", "ext4"}, {9, "/ab", "ext4"}};
  EXPECT_THAT(beneath("/a", mounts), ElementsAre(Mount{3, "/a/b", "tmpfs"}, Mount{5, "/a/b/c", "ext4"}));
}

TEST(Folders, InsideOthersAreLeftOut) {
  EXPECT_THAT(outermost({"/b/c", "/a", "/b", "/ab", "/a/x/y", "/a"}),
              ElementsAre(fs::path("/a"), fs::path("/ab"), fs::path("/b")));
}

TEST(Folders, OfTheWholeSystemOrOfTheViewItselfAreRefused) {
  EXPECT_THROW((void)folder_to_lay_over("/"), BrokenInput);
  EXPECT_THROW((void)folder_to_lay_over("/proc/self"), BrokenInput);
  EXPECT_THROW((void)folder_to_lay_over("/dev"), BrokenInput);
  EXPECT_THROW((void)folder_to_lay_over("/nowhere/at/all"), BrokenInput);
  EXPECT_TRUE(can_be_laid_over("/dev/shm/work"));
  EXPECT_FALSE(can_be_laid_over("/sys/fs"));
}

TEST(Folders, AreFoundThroughLinksAndForFiles) {
  const testing::Folder folder;
  fs::create_directory(folder / "real");
  fs::create_symlink("real", folder / "link");
  std::ofstream(folder / "real/file") << "x";
  EXPECT_EQ(folder_to_lay_over(folder / "link/file"), fs::canonical(folder / "real"));
}

class Storage : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"XDG_CACHE_HOME", "HOME", "TMPDIR"})
      if (const char* value = std::getenv(name)) before_[name] = value;
  }
  void TearDown() override {
    for (const char* name : {"XDG_CACHE_HOME", "HOME", "TMPDIR"})
      before_.contains(name) ? ::setenv(name, before_[name].c_str(), 1) : ::unsetenv(name);
  }
  std::map<std::string, std::string> before_;
};

TEST_F(Storage, NeverLiesInAFolderThatIsLaidOver) {
  const fs::path home = fs::path("/var/tmp") / ("samestep-test-" + std::to_string(::getpid()));
  fs::create_directories(home / "cache");
  ::setenv("HOME", home.c_str(), 1);
  ::setenv("XDG_CACHE_HOME", (home / "cache").c_str(), 1);
  {
    const ViewStorage beside({"/tmp"});
    EXPECT_TRUE(is_in(beside.path(), home / "cache")) << beside.path();
    const ViewStorage elsewhere({"/tmp", home});
    EXPECT_TRUE(is_in(elsewhere.path(), "/var/tmp") && !is_in(elsewhere.path(), home)) << elsewhere.path();
  }
  fs::remove_all(home);
}

// A link to the folder from outside of it is no way around.
TEST_F(Storage, IsNotLedIntoOneByALink) {
  const testing::Folder folder;
  fs::create_directory(folder / "project");
  fs::create_symlink(folder / "project", folder / "cache");
  ::setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
  const ViewStorage storage({fs::canonical(folder / "project")});
  EXPECT_FALSE(is_in(storage.path(), fs::canonical(folder / "project"))) << storage.path();
}

TEST_F(Storage, SaysOfEachPlaceWhyItWillNotDo) {
  ::setenv("HOME", "/var/tmp/home", 1);
  ::unsetenv("XDG_CACHE_HOME");
  ::unsetenv("TMPDIR");
  try {
    const ViewStorage storage({"/var"});
    FAIL() << storage.path();
  } catch (const ViewRefused& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("/var/tmp lies in /var"));
    EXPECT_THAT(refused.what(), HasSubstr("--in-place"));
  }
}

TEST_F(Storage, GoesWithEverythingInItAndFollowsNoLink) {
  const testing::Folder folder;
  std::ofstream(folder / "mine") << "x";
  fs::path path;
  {
    const ViewStorage storage({});
    path = storage.path();
    fs::create_directories(path / "a/b");
    std::ofstream(path / "a/b/file") << "y";
    fs::create_directory_symlink(folder.path(), path / "a/link");
    ::chmod((path / "a/b").c_str(), 0);
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::exists(folder / "mine"));
}

TEST_F(Storage, LeftBehindByAKilledProcessIsRemovedByTheNext) {
  const testing::Folder folder;
  ::setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  const ViewStorage living({"/nowhere"});
  if (!is_in(living.path(), folder.path())) GTEST_SKIP() << folder.path() << " is no place for a storage";
  const fs::path left = living.path().parent_path() / "samestep-view-abcdef";
  fs::create_directories(left / "0/upper");
  remove_left_behind(left.parent_path(), std::time(nullptr) + 30);
  EXPECT_TRUE(fs::exists(left)) << "a folder so young may be about to be locked";
  remove_left_behind(left.parent_path(), std::time(nullptr) + 3600);
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(living.path()));
}

TEST(RefusedWrites, AreFoundInWhatAProgramPrinted) {
  const testing::Folder folder;
  std::ofstream(folder / "output.txt") << "step 1\n"
                                          "OSError: [Errno 30] Read-only file system: '/data/out/log.txt'\n"
                                          "touch: cannot touch '/data/x': Read-only file system\n"
                                          "OSError: [Errno 30] Read-only file system: '/data/out/log.txt'\n"
                                          "Read-only file system\n"
                                          "cannot open '/data/y': Permission denied\n";
  EXPECT_THAT(refused_writes(folder / "output.txt"), ElementsAre(fs::path("/data/out/log.txt"), fs::path("/data/x")));
  EXPECT_THAT(refused_writes(folder / "none"), IsEmpty());
}

TEST(RefusedWrites, AreAllowedByTheInnermostFolderThatIsThere) {
  const testing::Folder folder;
  EXPECT_EQ(folder_to_allow(folder / "a/b/c.txt"), folder.path());
  EXPECT_EQ(folder_to_allow("/nowhere/c.txt"), "/");
}

}  // namespace
}  // namespace samestep
