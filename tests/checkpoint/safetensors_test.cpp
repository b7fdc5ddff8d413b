#include "replay/checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "replay/run/bytes.h"
#include "replay/run/error.h"
#include "tests/run/temporary_folder.h"

namespace samestep {
namespace {

std::string file_of(const std::string& header, const std::string& data) {
  const auto length = ByteWriter().u64(header.size()).take();
  return std::string(reinterpret_cast<const char*>(length.data()), 8) + header + data;
}

Safetensors parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "file");
}

std::string refusal(const std::string& header, const std::string& data = "") {
  try {
    static_cast<void>(parse(file_of(header, data)));
  } catch (const BrokenInput& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Safetensors, GivesBackWhatItsHeadSays) {
  const std::array<float, 3> a{1, 2, 3};
  const std::array<std::uint8_t, 0> none{};
  const std::vector<TensorView> tensors{{"layer.weight", DType::f32, {3, 1}, std::as_bytes(std::span(a))},
                                        {"empty", DType::u8, {0, 5}, std::as_bytes(std::span(none))},
                                        {"scalar", DType::i64, {}, {}}};
  std::string file = safetensors_head(tensors, {{"samestep", "{\"step\": 3}"}});
  EXPECT_EQ(file.size() % 8, 0u);
  file.append(reinterpret_cast<const char*>(a.data()), sizeof a);
  file.append(8, '\1');
  const Safetensors parsed = parse(file);
  EXPECT_EQ(parsed.metadata.at("samestep"), "{\"step\": 3}");
  ASSERT_NE(parsed.find("layer.weight"), nullptr);
  EXPECT_EQ(parsed.find("layer.weight")->shape, (Shape{3, 1}));
  EXPECT_EQ(std::memcmp(parsed.find("layer.weight")->data.data(), a.data(), sizeof a), 0);
  EXPECT_TRUE(parsed.find("empty")->data.empty());
  EXPECT_EQ(parsed.find("scalar")->data.size(), 8u);
  EXPECT_EQ(parsed.find("nobody"), nullptr);
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::string file = file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "abcd");
  EXPECT_NO_THROW(static_cast<void>(parse(file)));
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_THROW(static_cast<void>(parse(file.substr(0, size))), BrokenInput) << size;
  }
}

TEST(Safetensors, RefusesWhatDoesNotTileTheData) {
  const auto two = [](const char* a, const char* b) {
    return std::string(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)") + a +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}";
  };
  EXPECT_EQ(refusal(two("[0,2]", "[2,4]"), "abcd"), "accepted");
  EXPECT_NE(refusal(two("[0,2]", "[1,3]"), "abc").find("where the one before ends"), std::string::npos);
  EXPECT_NE(refusal(two("[0,2]", "[3,5]"), "abcde").find("where the one before ends"), std::string::npos);
  EXPECT_NE(refusal(two("[0,2]", "[2,4]"), "abcdX").find("1 bytes after"), std::string::npos);
  EXPECT_NE(refusal(two("[0,2]", "[0,2]"), "ab").find("where the one before ends"), std::string::npos);
  EXPECT_NE(refusal(two("[2,0]", "[2,4]"), "abcd").find("do not lie"), std::string::npos);
  EXPECT_NE(refusal(two("[0,2]", "[2,18446744073709551615]"), "abcd").find("do not lie"), std::string::npos);
}

TEST(Safetensors, RefusesSizesThatOverflowOrDoNotFit) {
  const auto one = [](const std::string& dtype, const std::string& shape) {
    return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[0,4]}})";
  };
  EXPECT_EQ(refusal(one("F32", "[1]"), "abcd"), "accepted");
  for (const char* shape : {"[2]", "[4611686018427387905]", "[4294967296,4294967296,4]", "[9223372036854775808]",
                            "[-1]", "[1.0]", "[\"1\"]", "1", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"}) {
    EXPECT_NE(refusal(one("F32", shape), "abcd"), "accepted") << shape;
  }
  EXPECT_NE(refusal(one("F31", "[1]"), "abcd").find("unknown dtype"), std::string::npos);
}

TEST(Safetensors, RefusesHeadersThatAreNotPlain) {
  EXPECT_NE(
      refusal(
          R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})")
          .find("twice"),
      std::string::npos);
  EXPECT_NE(refusal(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"extra":1}})"), "accepted");
  EXPECT_NE(refusal(R"({"__metadata__":{"a":1}})"), "accepted");
  EXPECT_NE(refusal(R"({"__metadata__":[]})"), "accepted");
  EXPECT_NE(refusal(" {}"), "accepted");
  EXPECT_NE(refusal("{} x"), "accepted");
  EXPECT_NE(refusal(std::string(1000000, '[')), "accepted");
  EXPECT_NE(refusal("{\"a\":" + std::string(1000000, '[') + std::string(1000000, ']') + "}").find("64 deep"),
            std::string::npos);
  EXPECT_EQ(refusal("{}   "), "accepted");
  std::string huge = file_of("{}", "");
  huge[3] = '\x7f';
  EXPECT_THROW(static_cast<void>(parse(huge)), BrokenInput);
}

TEST(Safetensors, HeadRefusesANameTwice) {
  const std::vector<TensorView> twice{{"a", DType::u8, {0}, {}}, {"a", DType::u8, {0}, {}}};
  EXPECT_THROW(static_cast<void>(safetensors_head(twice, {})), BrokenInput);
}

TEST(MappedFile, GivesTheBytesAndNamesWhatCannotBeOpened) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "bytes";
  std::ofstream(folder / "empty");
  EXPECT_EQ(MappedFile(folder / "file").bytes().size(), 5u);
  EXPECT_TRUE(MappedFile(folder / "empty").bytes().empty());
  EXPECT_THROW(MappedFile(folder / "nothing"), BrokenInput);
  EXPECT_THROW(MappedFile{folder.path()}, BrokenInput);
}

}  // namespace
}  // namespace samestep
