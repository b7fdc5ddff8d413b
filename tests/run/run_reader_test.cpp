// Runs of several segments, overlaps, hostile manifests, and the golden run.
#include "replay/run/run_reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "replay/checkpoint/anchor_check.h"
#include "replay/run/error.h"
#include "replay/run/format.h"
#include "tests/run/temporary_folder.h"
#include "tests/run/tiny_run.h"

namespace samestep {
namespace {

class Run : public testing::Test {
 protected:
  std::filesystem::path write(const TinyRun& run = {}, const std::string& name = "run") {
    write_tiny_run(folder_ / name, run);
    return folder_ / name;
  }
  // Changes the manifest and renews its digest.
  template <class Change>
  void edit_manifest(const std::filesystem::path& run, Change change) {
    Manifest manifest = read_manifest(run);
    change(manifest);
    write_manifest(run, manifest);
  }
  TemporaryFolder folder_;
};

std::string refusal(const std::filesystem::path& run) {
  try {
    const RunReader reader(run);
    reader.check_integrity();
    check_anchors(reader);
  } catch (const BrokenInput& error) {
    return error.what();
  }
  return "accepted";
}

TEST_F(Run, JoinsAResumeThatWentBack) {
  const RunReader reader(write());
  EXPECT_EQ(reader.first_step(), 0u);
  EXPECT_EQ(reader.end_step(), 44u);
  for (std::uint64_t step = 0; step < 44; ++step) EXPECT_EQ(reader.record(step).step, step);
  EXPECT_EQ(reader.points(28, 33).size(), 5u);
  EXPECT_TRUE(reader.points(28, 33).at(2).has_loss);
  ASSERT_EQ(reader.overlaps().size(), 1u);
  EXPECT_EQ(reader.overlaps()[0].begin, 30u);
  EXPECT_EQ(reader.overlaps()[0].end, 38u);
  EXPECT_FALSE(reader.overlaps()[0].first_difference) << "the resume was exact";
  EXPECT_EQ(reader.record_in_segment(0, 31).root, reader.record_in_segment(1, 31).root);
  EXPECT_NO_THROW(reader.check_integrity());
  EXPECT_NO_THROW(check_anchors(reader));
}

// A resumed segment that fell short of the one before: its chain is the same, so what lies beyond still follows.
TEST_F(Run, KeepsTheRestOfALongerSegmentThatFollowsOn) {
  TinyRun tiny;
  tiny.end = 34;
  const RunReader reader(write(tiny));
  EXPECT_EQ(reader.end_step(), 38u);
}

TEST_F(Run, SaysHowTheNextSegmentMustBegin) {
  const std::filesystem::path run = write();
  const RunReader reader(run);
  const SegmentHeader header = reader.next_segment(40);
  EXPECT_EQ(header.number, 2u);
  EXPECT_EQ(header.chain_before, reader.chain(39));
  EXPECT_EQ(header.log_chain_before, reader.record(43).log_chain);
  EXPECT_EQ(header.run_id, reader.manifest().run_id);
}

TEST_F(Run, OfAKilledRecorderIsReadAndCalledLost) {
  TinyRun tiny;
  tiny.ended = false;
  const std::filesystem::path run = write(tiny);
  const RunReader reader(run);
  EXPECT_EQ(reader.end_step(), 38u);
  EXPECT_NO_THROW(reader.check_integrity());
  Manifest manifest = reader.manifest();
  std::ifstream("/proc/sys/kernel/random/boot_id") >> manifest.what["boot_id"].get_ref<std::string&>();
  manifest.what["process"] = ::getpid();
  EXPECT_EQ(effective_ending(manifest, manifest.segments[0]), "running");
  manifest.what["process"] = 0x3fffffff;  // above the largest process number
  EXPECT_EQ(effective_ending(manifest, manifest.segments[0]), "lost");
  manifest.segments[0].ended = "closed";
  EXPECT_EQ(effective_ending(manifest, manifest.segments[0]), "closed");
}

TEST_F(Run, RefreshTakesUpWhatWasAdded) {
  const std::filesystem::path run = write();
  Manifest whole = read_manifest(run);
  edit_manifest(run, [](Manifest& manifest) { manifest.segments.pop_back(); });
  RunReader reader(run);
  EXPECT_EQ(reader.end_step(), 38u);
  write_manifest(run, whole);
  reader.refresh();
  EXPECT_EQ(reader.end_step(), 44u);
}

TEST_F(Run, NamesItsNearestAnchor) {
  const RunReader reader(write());
  EXPECT_EQ(reader.anchor_before(24), nullptr);
  ASSERT_NE(reader.anchor_before(25), nullptr);
  EXPECT_EQ(reader.anchor_before(43)->step, 25u);
}

// An honest resume that was not exact was once called `tampered`: the anchor of the first segment was compared with the
// step that the second one had put in its place.
TEST_F(Run, ChecksAnAnchorAgainstTheSegmentItWasCutIn) {
  TinyRun tiny;
  tiny.resumed_seed = 8;
  tiny.anchor_in_both_at = 34;
  const RunReader reader(write(tiny));
  ASSERT_EQ(reader.overlaps().at(0).first_difference, 30u);
  ASSERT_EQ(reader.manifest().anchors.size(), 3u);
  EXPECT_NO_THROW(reader.check_integrity());
  EXPECT_NO_THROW(check_anchors(reader));
}

TEST_F(Run, StartsFromNoAnchorThatAResumeHasPushedOut) {
  TinyRun tiny;
  tiny.resumed_seed = 8;
  tiny.anchor_in_both_at = 34;
  const std::filesystem::path run = write(tiny);
  EXPECT_EQ(RunReader(run).anchor_before(40)->segment, 1u);
  edit_manifest(run, [](Manifest& manifest) { manifest.anchors.pop_back(); });
  EXPECT_EQ(RunReader(run).anchor_before(40)->step, 25u);
  tiny.resumed_seed = tiny.seed;
  const std::filesystem::path exact = write(tiny, "exact");
  edit_manifest(exact, [](Manifest& manifest) { manifest.anchors.pop_back(); });
  EXPECT_EQ(RunReader(exact).anchor_before(40)->step, 34u) << "the chains agree: either state is right";
}

TEST_F(Run, RefusesAnAnchorThatClaimsAnotherSegment) {
  TinyRun tiny;
  tiny.resumed_seed = 8;
  tiny.anchor_in_both_at = 34;
  const std::filesystem::path run = write(tiny);
  edit_manifest(run, [](Manifest& manifest) { manifest.anchors[1].segment = 1; });
  EXPECT_NE(refusal(run).find("disagrees with the log of step 33"), std::string::npos) << refusal(run);
  edit_manifest(run, [](Manifest& manifest) { manifest.anchors[1].segment = 9; });
  EXPECT_NE(refusal(run).find("holds no segment 9"), std::string::npos) << refusal(run);
}

// A search in a long run must not open all of its logs; checking its integrity must.
TEST_F(Run, OpensALogWhenItIsReadAndChecksItThen) {
  const std::filesystem::path run = write();
  std::ofstream(run / format::log_file(0, 1), std::ios::trunc) << "no log any more";
  const RunReader reader(run);
  EXPECT_EQ(reader.end_step(), 44u) << "the manifest states it";
  EXPECT_NO_THROW(static_cast<void>(reader.record(29)));
  EXPECT_THROW(static_cast<void>(reader.record(30)), BrokenInput);
  EXPECT_THROW(reader.check_integrity(), BrokenInput);
}

TEST_F(Run, ChecksTheLinksOfASegmentWhenItIsRead) {
  const std::filesystem::path run = write();
  TinyRun other;
  other.seed = 8;
  const std::filesystem::path foreign = write(other, "foreign");
  std::filesystem::copy(foreign / format::log_file(0, 1), run / format::log_file(0, 1),
                        std::filesystem::copy_options::overwrite_existing);
  edit_manifest(run, [&](Manifest& manifest) { manifest.segments[1] = read_manifest(foreign).segments[1]; });
  const RunReader reader(run);
  EXPECT_NO_THROW(static_cast<void>(reader.chain(29)));
  EXPECT_THROW(static_cast<void>(reader.chain(30)), TamperedInput);
  EXPECT_THROW(static_cast<void>(reader.stated_digest(43, Lane::weights_in)), TamperedInput);
}

// One process may have the same run open twice.
TEST_F(Run, IsReadTwiceInOneProcessWhileItGrows) {
  const std::filesystem::path run = write();
  const RunReader one(run);
  EXPECT_EQ(one.record(40).step, 40u);
  const RunReader two(run);
  EXPECT_EQ(two.chain(43), one.chain(43));
  EXPECT_NO_THROW(two.check_integrity());
  EXPECT_NO_THROW(one.check_integrity());
}

TEST_F(Run, RefusesFileNamesThatLeadOut) {
  const std::filesystem::path run = write();
  std::filesystem::copy(run / format::log_file(0, 0), folder_ / "outside.h5");
  for (const std::string name :
       {"../outside.h5", "anchors/../../outside.h5", "./log-r0000-s0000.h5", "", "log-r0000-s0009.h5", "anchors"}) {
    edit_manifest(run, [&](Manifest& manifest) { manifest.anchors[0].file = name; });
    EXPECT_NE(refusal(run).find("the manifest names the file"), std::string::npos) << name;
  }
  edit_manifest(run, [&](Manifest& manifest) { manifest.anchors[0].file = (folder_ / "outside.h5").string(); });
  EXPECT_NE(refusal(run).find("no path inside the run"), std::string::npos);
  std::filesystem::create_symlink(folder_ / "outside.h5", run / "link.h5");
  edit_manifest(run, [&](Manifest& manifest) { manifest.segments[0].file = "link.h5"; });
  EXPECT_NE(refusal(run).find("symbolic link"), std::string::npos);
}

TEST_F(Run, SaysWhatStandsWhereAFileShould) {
  const std::filesystem::path run = write();
  const std::filesystem::path log = run / format::log_file(0, 0);
  std::filesystem::remove(log);
  EXPECT_NE(refusal(run).find("which is missing"), std::string::npos);
  ASSERT_EQ(::mkfifo(log.c_str(), 0600), 0);
  EXPECT_NE(refusal(run).find("which is a named pipe, no regular file"), std::string::npos);
  std::filesystem::remove(log);
  std::filesystem::create_directory(log);
  EXPECT_NE(refusal(run).find("which is a folder"), std::string::npos);
}

TEST_F(Run, RefusesALogOfAnotherRun) {
  const std::filesystem::path run = write();
  TinyRun other;
  other.run_id = std::string(32, 'e');
  const std::filesystem::path foreign = write(other, "foreign");
  std::filesystem::copy(foreign / format::log_file(0, 0), run / format::log_file(0, 0),
                        std::filesystem::copy_options::overwrite_existing);
  EXPECT_NE(refusal(run).find("another run"), std::string::npos);
}

TEST_F(Run, RefusesAManifestThatDisagreesWithItsLogs) {
  const std::filesystem::path run = write();
  const Manifest whole = read_manifest(run);
  const auto expect_refusal = [&](const std::string& text, auto change) {
    Manifest manifest = whole;
    change(manifest);
    write_manifest(run, manifest);
    EXPECT_NE(refusal(run).find(text), std::string::npos) << refusal(run);
  };
  expect_refusal("the manifest says 37", [](Manifest& m) { m.segments[0].steps = 37; });
  expect_refusal("last chain", [](Manifest& m) { m.segments[0].chain->bytes[0] ^= 1; });
  expect_refusal("last log chain", [](Manifest& m) { m.segments[1].log_chain->bytes[0] ^= 1; });
  expect_refusal("begins at step 30", [](Manifest& m) { m.segments[1].first_step = 31; });
  expect_refusal("does not follow", [](Manifest& m) { m.segments.erase(m.segments.begin()); });
  expect_refusal("edited after it was written", [](Manifest& m) { m.segments[1].digest->bytes[0] ^= 1; });
  expect_refusal("twice", [](Manifest& m) { m.segments[1].number = 0; });
  expect_refusal("the manifest says step 26", [](Manifest& m) { m.anchors[0].step = 26; });
  write_manifest(run, whole);
  EXPECT_EQ(refusal(run), "accepted");
}

// Files of this day must open in every later version. The heads are equal because the same training runs again.
TEST_F(Run, GoldenOfFormat1OpensVerifiesAndHasTheSameHead) {
  const std::filesystem::path golden = std::filesystem::path(SAMESTEP_GOLDEN) / "run-v1";
  EXPECT_EQ(refusal(golden), "accepted");
  const RunReader kept(golden), fresh(write());
  ASSERT_EQ(kept.end_step(), fresh.end_step());
  EXPECT_EQ(kept.chain(kept.end_step() - 1), fresh.chain(fresh.end_step() - 1));
}

}  // namespace
}  // namespace samestep
