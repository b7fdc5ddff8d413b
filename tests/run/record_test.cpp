// The data model: what a digest covers, and that the encoding loses nothing and accepts nothing else.
#include <gtest/gtest.h>

#include <random>

#include "replay/run/error.h"
#include "replay/run/record.h"
#include "tests/run/tiny_run.h"

namespace samestep {
namespace {

StepRecord some_record(Layout* layout = nullptr) {
  TinyTraining training;
  static_cast<void>(training.step());
  static_cast<void>(training.step());
  if (layout != nullptr) *layout = training.layout();
  return training.step(true);
}

std::string hex(std::span<const std::byte> bytes) {
  return digest(bytes).hex();
}

TEST(RecordEncoding, GivesBackEveryField) {
  Layout layout;
  const StepRecord record = some_record(&layout);
  const StepRecord again = decode_step(encode(record), layout);
  EXPECT_EQ(hex(encode(again)), hex(encode(record)));
  EXPECT_EQ(again.of(Lane::gradients).presence, record.of(Lane::gradients).presence);
  EXPECT_EQ(again.of(Lane::batch).items, record.of(Lane::batch).items);
  EXPECT_EQ(again.of(Lane::loss).values, record.of(Lane::loss).values);
  EXPECT_EQ(again.of(Lane::weights_out).summaries.at(0).sketch, record.of(Lane::weights_out).summaries.at(0).sketch);
  EXPECT_EQ(again.rng_out, record.rng_out);
  ASSERT_FALSE(record.host_reads.empty());
  EXPECT_EQ(again.host_reads, record.host_reads);
  EXPECT_EQ(again.timing.began_ns, record.timing.began_ns);
  EXPECT_EQ(again.timing.world_size, record.timing.world_size);
}

TEST(RecordEncoding, RefusesEveryShorterAndLongerText) {
  Layout layout;
  std::vector<std::byte> bytes = encode(some_record(&layout));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(static_cast<void>(decode_step(std::span(bytes).first(size), layout)), BrokenInput) << size;
  }
  bytes.push_back(std::byte{0});
  EXPECT_THROW(static_cast<void>(decode_step(bytes, layout)), BrokenInput);
}

// One record has one encoding: whatever is accepted encodes to the same bytes again.
TEST(RecordEncoding, IsCanonicalWhateverByteIsFlipped) {
  Layout layout;
  const std::vector<std::byte> bytes = encode(some_record(&layout));
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::vector<std::byte> flipped = bytes;
    flipped[at] ^= std::byte{0x41};
    try {
      const StepRecord record = decode_step(flipped, layout);
      EXPECT_EQ(hex(encode(record)), hex(flipped)) << "byte " << at;
      ++accepted;
    } catch (const BrokenInput&) {  // the other right answer
    }
  }
  EXPECT_GT(accepted, bytes.size() / 2) << "most bytes are digests and numbers";
}

TEST(RecordEncoding, RefusesARecordOfAnotherTable) {
  Layout layout;
  const StepRecord record = some_record(&layout);
  layout.of(Lane::gradients).pop_back();
  EXPECT_FALSE(fits(record, layout));
  EXPECT_THROW(static_cast<void>(decode_step(encode(record), layout)), BrokenInput);
}

TEST(Layout, SurvivesItsText) {
  Layout layout;
  static_cast<void>(some_record(&layout));
  layout.of(Lane::weights_in)[0].name = "quotes \" and \\ and ünicode";
  EXPECT_EQ(decode_layout(encode(layout)), layout);
}

TEST(Layout, RefusesWhatIsNoTable) {
  const std::string whole = encode(TinyTraining().layout());
  EXPECT_THROW(static_cast<void>(decode_layout("")), BrokenInput);
  EXPECT_THROW(static_cast<void>(decode_layout("[]")), BrokenInput);
  EXPECT_THROW(static_cast<void>(decode_layout(std::string(100000, '['))), BrokenInput);
  EXPECT_THROW(static_cast<void>(decode_layout(R"({"columns": {}, "columns": {}, "optimizers": []})")), BrokenInput);
  for (const auto& [from, to] :
       {std::pair{"F32", "F33"}, {"[3,4]", "[3,-4]"}, {"[3,4]", "[3,0.5]"}, {"\"SGD\"", "1"}}) {
    std::string text = whole;
    ASSERT_NE(text.find(from), std::string::npos) << from;
    text.replace(text.find(from), std::string(from).size(), to);
    EXPECT_THROW(static_cast<void>(decode_layout(text)), BrokenInput) << to;
  }
}

// --- What a digest covers ---------------------------------------------------------------------------------------

class LaneDigest : public testing::Test {
 protected:
  LaneDigest() { record_ = some_record(&layout_); }
  Digest of(Lane lane) const { return lane_digest(lane, record_.of(lane), layout_.of(lane)); }
  Layout layout_;
  StepRecord record_;
};

TEST_F(LaneDigest, ChangesWithDtypeShapeDigestOrderAndPresence) {
  const Digest before = of(Lane::weights_out);
  const auto expect_change = [&](auto change) {
    const Layout layout = layout_;
    const StepRecord record = record_;
    change();
    EXPECT_NE(of(Lane::weights_out), before);
    layout_ = layout;
    record_ = record;
  };
  LaneRecord& lane = record_.of(Lane::weights_out);
  auto& columns = layout_.of(Lane::weights_out);
  expect_change([&] { columns[0].dtype = DType::i32; });
  expect_change([&] { columns[0].shape = Shape{4, 3}; });
  expect_change([&] { columns[0].shape = Shape{12}; });
  expect_change([&] { columns[0].shape = std::nullopt; });
  expect_change([&] { lane.digests[1].bytes[31] ^= 1; });
  expect_change([&] { std::swap(lane.digests[0], lane.digests[1]); });
  expect_change([&] { lane.presence[1] = Presence::undefined; });
  expect_change([&] { lane.presence[1] = Presence::absent; });
}

TEST_F(LaneDigest, IgnoresNamesExceptThoseOfHyperParameters) {
  const Digest weights = of(Lane::weights_out), hyper = of(Lane::hyper);
  layout_.of(Lane::weights_out)[0].name = "renamed";
  layout_.of(Lane::hyper)[0].name = "renamed";
  EXPECT_EQ(of(Lane::weights_out), weights);
  EXPECT_NE(of(Lane::hyper), hyper);
}

TEST_F(LaneDigest, TellsEqualTensorsOfDifferentLanesApart) {
  EXPECT_NE(lane_digest(Lane::weights_in, record_.of(Lane::weights_out), layout_.of(Lane::weights_out)),
            of(Lane::weights_out));
}

TEST(RootDigest, CoversTheOptimizerOnItsScheduleOnlyAndNeverTheState) {
  StepRecord record = some_record();
  const Digest before = root_digest(record);
  ASSERT_EQ(record.step, 2u);
  record.of(Lane::optimizer).digest.bytes[0] ^= 1;
  record.of(Lane::state).digest.bytes[0] ^= 1;
  record.timing.duration_ns += 1;
  EXPECT_EQ(root_digest(record), before);
  record.step = 16;
  const Digest on_schedule = root_digest(record);
  record.of(Lane::optimizer).digest.bytes[0] ^= 1;
  EXPECT_NE(root_digest(record), on_schedule);
  record.skipped = true;
  EXPECT_NE(root_digest(record), on_schedule);
}

TEST(LogChain, CoversEverythingStored) {
  const StepRecord record = some_record();
  const Digest before = log_chain_digest({}, record);
  const auto expect_change = [&](auto change) {
    StepRecord changed = record;
    change(changed);
    EXPECT_NE(log_chain_digest({}, changed), before);
  };
  expect_change([](StepRecord& r) { r.timing.peak_memory += 1; });
  expect_change([](StepRecord& r) { r.rng_out[0].bytes[0] ^= 1; });
  expect_change([](StepRecord& r) { r.host_reads.push_back(0); });
  expect_change([](StepRecord& r) { r.of(Lane::gradients).summaries[0].statistics.nonfinite += 1; });
  expect_change([](StepRecord& r) { r.of(Lane::loss).values[0] += 1; });
  expect_change([](StepRecord& r) { r.of(Lane::state).digest.bytes[0] ^= 1; });
}

TEST(LaneNames, AreKnownBothWays) {
  for (const Lane lane : all_lanes) EXPECT_EQ(lane_from_name(name(lane)), lane);
  EXPECT_FALSE(lane_from_name("weights"));
}

}  // namespace
}  // namespace samestep
