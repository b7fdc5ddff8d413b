#include "replay/run/manifest.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "replay/run/error.h"
#include "tests/run/temporary_folder.h"

namespace samestep {
namespace {

Manifest some_manifest() {
  Manifest manifest;
  manifest.run_id = std::string(32, 'c');
  manifest.what = {{"argv", {"./train", "--bytes=\xff"}}, {"lr", 0.1}};
  SegmentEntry segment;
  segment.file = "log-r0000-s0000.h5";
  segment.steps = 12;
  segment.chain = digest("chain");
  segment.began_ns = -5;
  segment.process = {{"pid", 12}};
  manifest.segments = {segment};
  manifest.anchors = {{200, 1, 3, "anchors/x.safetensors", 77, digest("anchor")}};
  manifest.events = {{1, 0, "gap", std::nullopt, "", "a gap"}, {2, 0, "state_edited", 7, "w", "an edit"}};
  return manifest;
}

TEST(Manifest, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  write_manifest(folder.path(), some_manifest());
  const Manifest manifest = read_manifest(folder.path());
  EXPECT_EQ(manifest.segments.at(0).steps, 12u);
  EXPECT_EQ(manifest.segments.at(0).chain, digest("chain"));
  EXPECT_EQ(manifest.segments.at(0).began_ns, -5);
  EXPECT_FALSE(manifest.segments.at(0).digest);
  EXPECT_EQ(manifest.anchors.at(0).digest, digest("anchor"));
  EXPECT_EQ(manifest.anchors.at(0).segment, 3u);
  EXPECT_FALSE(manifest.events.at(0).step);
  EXPECT_EQ(manifest.events.at(1).step, 7u);
  EXPECT_EQ(manifest_text(manifest), manifest_text(read_manifest(folder.path())));
}

TEST(Manifest, IsReplacedWholeAndLeavesNoTemporaryFile) {
  const TemporaryFolder folder;
  Manifest manifest = some_manifest();
  write_manifest(folder.path(), manifest);
  manifest.events.clear();
  write_manifest(folder.path(), manifest);
  EXPECT_TRUE(read_manifest(folder.path()).events.empty());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Manifest, ShowsEveryFlippedByte) {
  const std::string text = manifest_text(some_manifest());
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string edited = text;
    edited[at] = static_cast<char>(edited[at] ^ 1);
    EXPECT_THROW(static_cast<void>(parse_manifest(edited, "m")), BrokenInput) << "byte " << at;
  }
}

TEST(Manifest, CallsAnEditTampered) {
  std::string text = manifest_text(some_manifest());
  text.replace(text.find("\"steps\": 12"), 11, "\"steps\": 13");
  EXPECT_THROW(static_cast<void>(parse_manifest(text, "m")), TamperedInput);
}

// An edit with its digest renewed passes as one; fields are still checked one by one.
TEST(Manifest, NamesTheFieldThatIsWrong) {
  const auto message = [](auto change) -> std::string {
    Manifest manifest = some_manifest();
    change(manifest);
    try {
      static_cast<void>(parse_manifest(manifest_text(manifest), "m"));
    } catch (const BrokenInput& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(message([](Manifest& m) { m.run_id = "short"; }).find("run_id"), std::string::npos);
  EXPECT_NE(message([](Manifest& m) { m.format_version = 2; }).find("format 2"), std::string::npos);
  EXPECT_NE(message([](Manifest& m) { m.segments[0].first_step = ~0ull; }).find("range"), std::string::npos);
  EXPECT_NE(message([](Manifest& m) { m.what = 3; }).find("what"), std::string::npos);
}

TEST(Manifest, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  EXPECT_THROW(static_cast<void>(read_manifest(folder / "nowhere")), BrokenInput);
  EXPECT_THROW(static_cast<void>(read_manifest(folder.path())), BrokenInput);
  EXPECT_THROW(write_manifest(folder / "nowhere", some_manifest()), BrokenInput);
}

}  // namespace
}  // namespace samestep
