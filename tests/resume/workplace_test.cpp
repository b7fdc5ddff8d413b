// Copies of a folder, for machines without views.
#include "replay/resume/workplace.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/run/temporary_folder.h"

namespace samestep {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class CopiedFolder : public ::testing::Test {
 protected:
  CopiedFolder() {
    fs::create_directories(folder_ / "work/data/inner");
    fs::create_directories(folder_ / "work/samestep-runs/monday");
    std::ofstream(folder_ / "work/data/inner/x") << "x\n";
    fs::create_symlink("data/inner", folder_ / "work/link");
  }
  [[nodiscard]] ResumeOptions options() const {
    ResumeOptions options;
    options.cwd = folder_ / "work";
    options.in_place = true;
    return options;
  }
  const TemporaryFolder folder_;
};

TEST_F(CopiedFolder, HasFilesFoldersLinksAndTimesButNoRecordings) {
  fs::last_write_time(folder_ / "work/data/inner/x", fs::file_time_type::clock::now() - std::chrono::hours(30));
  copy_folder(folder_ / "work", folder_ / "copy");
  EXPECT_EQ(text_of(folder_ / "copy/data/inner/x"), "x\n");
  EXPECT_EQ(fs::read_symlink(folder_ / "copy/link"), "data/inner");
  EXPECT_EQ(fs::last_write_time(folder_ / "copy/data/inner/x"), fs::last_write_time(folder_ / "work/data/inner/x"));
  EXPECT_FALSE(fs::exists(folder_ / "copy/samestep-runs"));
}

TEST_F(CopiedFolder, MayLieInTheFolderItself) {
  copy_folder(folder_ / "work", folder_ / "work/kept/files");
  EXPECT_EQ(text_of(folder_ / "work/kept/files/data/inner/x"), "x\n");
  EXPECT_FALSE(fs::exists(folder_ / "work/kept/files/kept/files"));
}

TEST_F(CopiedFolder, IsTakenAnewForEachStartUnlessItLasts) {
  Workplace fresh(options(), false, folder_ / "fresh"), lasting(options(), true, folder_ / "lasting");
  for (Workplace* place : {&fresh, &lasting}) {
    place->prepare();
    std::ofstream(place->cwd() / "made") << "made\n";
    place->prepare();
  }
  EXPECT_FALSE(fs::exists(fresh.cwd() / "made"));
  EXPECT_TRUE(fs::exists(lasting.cwd() / "made"));
  EXPECT_FALSE(fs::exists(folder_ / "work/made"));
}

}  // namespace
}  // namespace samestep
