// An anchor against the log: one flipped bit is named with tensor, element, value found and value expected.
#include "replay/checkpoint/anchor.h"

#include <gtest/gtest.h>

#include <sstream>

#include "replay/checkpoint/element_text.h"
#include "replay/run/bytes.h"
#include "replay/run/error.h"
#include "tests/run/tiny_run.h"

namespace samestep {
namespace {

class Anchor : public testing::Test {
 protected:
  Anchor() {
    while (training_.updates() < 24) static_cast<void>(training_.step());
    record_ = training_.step(true);
    file_ = training_.anchor();
  }
  // Where a tensor's data begin in the file.
  std::size_t place_of(const std::string& tensor) const {
    const Safetensors parsed = parse_safetensors(std::as_bytes(std::span(file_)), "anchor");
    return static_cast<std::size_t>(reinterpret_cast<const char*>(parsed.find(tensor)->data.data()) - file_.data());
  }
  std::vector<std::string> disagreements() const {
    const AnchorFile anchor = parse_anchor(std::as_bytes(std::span(file_)), "anchor");
    std::vector<std::string> lines;
    for (const AnchorDisagreement& one : compare_anchor(anchor, record_, training_.layout()).disagreements) {
      std::ostringstream line;
      line << one;
      lines.push_back(line.str());
    }
    return lines;
  }
  void replace(const std::string& from, const std::string& to) {
    ASSERT_EQ(from.size(), to.size());
    file_.replace(file_.find(from), from.size(), to);
  }
  TinyTraining training_;
  StepRecord record_;
  std::string file_;
};

TEST_F(Anchor, AgreesWithTheLogOfItsStep) {
  const AnchorFile anchor = parse_anchor(std::as_bytes(std::span(file_)), "anchor");
  const AnchorComparison comparison = compare_anchor(anchor, record_, training_.layout());
  EXPECT_TRUE(comparison.disagreements.empty());
  EXPECT_EQ(comparison.compared, 6u);    // weight, bias, buffer, momentum, generator, cursor
  EXPECT_EQ(comparison.unrecorded, 2u);  // the other optimizer's
  EXPECT_NO_THROW(check_anchor(std::as_bytes(std::span(file_)), "anchor", record_, training_.layout()));
}

TEST_F(Anchor, NamesTheElementThatWasEdited) {
  const std::size_t at = place_of("weights_out/layer.weight") + 4 * (1 * 4 + 2);
  const std::string before = element_text(DType::f32, std::as_bytes(std::span(file_)).subspan(at, 4));
  file_[at + 3] = static_cast<char>(file_[at + 3] ^ 0x40);
  const std::string after = element_text(DType::f32, std::as_bytes(std::span(file_)).subspan(at, 4));
  ASSERT_EQ(disagreements().size(), 1u);
  EXPECT_EQ(disagreements()[0].find("weights_out/layer.weight: element [1, 2] is " + after + " (0x"), 0u)
      << disagreements()[0];
  EXPECT_NE(disagreements()[0].find("was " + before + " (0x"), std::string::npos) << disagreements()[0];
}

TEST_F(Anchor, NamesAnEditedHalfOfA64BitElement) {
  const std::size_t at = place_of("weights_out/norm.count");
  file_[at + 6] = 1;
  ASSERT_EQ(disagreements().size(), 1u);
  EXPECT_EQ(disagreements()[0],
            "weights_out/norm.count: element [] is 281474976710681 (0x0001000000000019), was 25 (0x0000000000000019)");
}

TEST_F(Anchor, GivesDigestsWhereMoreThanOneElementWasEdited) {
  const std::size_t at = place_of("optimizer/layer.weight/momentum");
  file_[at] = static_cast<char>(file_[at] ^ 1);
  file_[at + 13] = static_cast<char>(file_[at + 13] ^ 1);
  ASSERT_EQ(disagreements().size(), 1u);
  EXPECT_NE(disagreements()[0].find("has the digest"), std::string::npos);
}

TEST_F(Anchor, NamesEditsOfGeneratorsAndNamedState) {
  file_[place_of("rng/cpu")] ^= 1;
  file_[place_of("state/cursor/1")] ^= 1;
  ASSERT_EQ(disagreements().size(), 2u);
  EXPECT_EQ(disagreements()[0].find("rng/cpu: "), 0u);
  EXPECT_EQ(disagreements()[1].find("state/cursor: its 2 tensors"), 0u);
}

TEST_F(Anchor, NamesMissingStrangeAndReshapedTensors) {
  replace("weights_out/layer.bias", "weights_out/layer.bios");
  EXPECT_EQ(disagreements().size(), 2u);  // one missing, one unknown
  replace("weights_out/layer.bios", "weights_out/layer.bias");
  replace("\"shape\":[3,4]", "\"shape\":[4,3]");
  ASSERT_EQ(disagreements().size(), 1u);
  EXPECT_NE(disagreements()[0].find("is F32 [4, 3], recorded was F32 [3, 4]"), std::string::npos);
}

TEST_F(Anchor, OfAnotherStepIsTampered) {
  TinyTraining other;
  while (other.updates() < 26) static_cast<void>(other.step());
  const std::string foreign = other.anchor();
  EXPECT_THROW(check_anchor(std::as_bytes(std::span(foreign)), "anchor", record_, training_.layout()), TamperedInput);
}

TEST_F(Anchor, ThatIsNoneIsRefused) {
  const std::string plain = safetensors_head({}, {});
  EXPECT_THROW(static_cast<void>(parse_anchor(std::as_bytes(std::span(plain)), "x")), BrokenInput);
  for (const char* about : {"", "[]", "{}", R"({"format": 2, "rank": 0, "step": 1})", R"({"format": 1, "rank": 0})"}) {
    const std::string file = safetensors_head({}, {{"samestep", about}});
    EXPECT_THROW(static_cast<void>(parse_anchor(std::as_bytes(std::span(file)), "x")), BrokenInput) << about;
  }
}

TEST(ElementText, ReadsEveryDtype) {
  const auto text = [](DType dtype, std::initializer_list<int> bytes) {
    std::vector<std::byte> data;
    for (const int byte : bytes) data.push_back(static_cast<std::byte>(byte));
    return element_text(dtype, data);
  };
  EXPECT_EQ(text(DType::f32, {0, 0, 0, 0x3e}), "0.125");
  EXPECT_EQ(text(DType::f64, {0, 0, 0, 0, 0, 0, 0xf0, 0xbf}), "-1");
  EXPECT_EQ(text(DType::f16, {0x00, 0x3c}), "1");
  EXPECT_EQ(text(DType::f16, {0x01, 0x00}), "5.9604645e-08");
  EXPECT_EQ(text(DType::f16, {0x00, 0xfc}), "-inf");
  EXPECT_EQ(text(DType::bf16, {0x80, 0x3f}), "1");
  EXPECT_EQ(text(DType::i8, {0xff}), "-1");
  EXPECT_EQ(text(DType::u16, {0xff, 0xff}), "65535");
  EXPECT_EQ(text(DType::boolean, {1}), "true");
  EXPECT_EQ(text(DType::c64, {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40}), "(1, 2)");
  EXPECT_EQ(text(DType::f8_e4m3, {1}), "");
}

}  // namespace
}  // namespace samestep
