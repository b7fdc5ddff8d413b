// BLAKE3 digests: the official vectors on every backend, lists cut in every way, and b3sum on real files.
#include "kernels/digest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "tests/kernels/loops.h"
#include "tests/kernels/vectors.h"

namespace samestep {
namespace {

Digest digest_of(const void* data, std::size_t size, Backend backend) {
  const Buffer buffer{data, size};
  Digest result;
  digest(std::span(&buffer, 1), std::span(&result, 1), serial(), backend);
  return result;
}

class DigestOn : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    if (!available(GetParam())) GTEST_SKIP() << "this processor has no " << name(GetParam());
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, DigestOn, testing::Values(Backend::scalar, Backend::avx2, Backend::avx512),
                         [](const auto& instance) { return std::string(name(instance.param)); });

TEST_P(DigestOn, GivesTheOfficialVectors) {
  ASSERT_GE(vectors().size(), 60u);
  for (const auto& [length, expected] : vectors())
    EXPECT_EQ(digest_of(message().data(), length, GetParam()).hex(), expected) << length << " bytes";
}

TEST_P(DigestOn, GivesTheSameForAListHoweverItIsCutAmongThreads) {
  std::vector<Buffer> buffers;
  std::vector<std::string> expected;
  for (const auto& [length, hex] : vectors()) {
    if (length > 300000) continue;  // up to three subtrees; more only cost time under sanitizers
    buffers.push_back({message().data(), length});
    expected.push_back(hex);
  }
  for (const auto& [loop_name, loop] : loops()) {
    std::vector<Digest> digests(buffers.size());
    digest(buffers, digests, loop, GetParam());
    for (std::size_t i = 0; i < buffers.size(); ++i)
      EXPECT_EQ(digests[i].hex(), expected[i]) << buffers[i].size << " bytes, " << loop_name;
  }
}

TEST_P(DigestOn, ReadsAtAnyAlignment) {
  for (std::size_t offset = 0; offset < 64; ++offset)
    for (const std::size_t length : {100u, 1024u, 20000u})
      EXPECT_EQ(digest_of(message().data() + offset, length, GetParam()),
                digest_of(message().data() + 251 + offset, length, Backend::scalar));
}

TEST_P(DigestOn, EqualsTheReferenceOnRandomLists) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 30; ++round) {
    std::vector<Buffer> buffers(random() % 400);
    for (Buffer& buffer : buffers) {
      const std::size_t limit = std::size_t{1} << (random() % 19);
      buffer = {message().data() + random() % 1000, random() % limit};
    }
    std::vector<Digest> digests(buffers.size());
    digest(buffers, digests, serial(), GetParam());
    for (std::size_t i = 0; i < buffers.size(); ++i)
      ASSERT_EQ(digests[i], digest_of(buffers[i].data, buffers[i].size, Backend::scalar)) << buffers[i].size;
  }
}

// A changed bit must show wherever it is; a lane that reads its neighbour's data, or skips some, fails here.
TEST_P(DigestOn, SeesEveryFlippedBit) {
  std::vector<std::uint8_t> bytes(message().begin(), message().begin() + 40000);
  const Digest original = digest_of(bytes.data(), bytes.size(), GetParam());
  for (std::size_t i = 0; i < bytes.size(); i += 61) {
    bytes[i] ^= 1;
    EXPECT_NE(digest_of(bytes.data(), bytes.size(), GetParam()), original) << "byte " << i;
    bytes[i] ^= 1;
  }
  EXPECT_EQ(digest_of(bytes.data(), bytes.size(), GetParam()), original);
}

TEST(Digest, OfAnEmptyListIsNothing) { digest(std::span<const Buffer>(), std::span<Digest>()); }

TEST(Digest, OfNullAndOfTextAgreeWithTheEmptyVector) {
  const std::string empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
  EXPECT_EQ(digest_of(nullptr, 0, best_backend()).hex(), empty);
  EXPECT_EQ(digest("").hex(), empty);
  EXPECT_EQ(digest("abc").hex(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
}

TEST(Digest, ReadsBackItsHexadecimalForm) {
  const Digest original = digest("abc");
  EXPECT_EQ(Digest::from_hex(original.hex()), original);
  EXPECT_EQ(Digest::from_hex(original.hex().substr(1)), std::nullopt);
  EXPECT_EQ(Digest::from_hex(original.hex() + "0"), std::nullopt);
  EXPECT_EQ(Digest::from_hex("A" + original.hex().substr(1)), std::nullopt);
  EXPECT_EQ(Digest::from_hex(std::string(64, 'g')), std::nullopt);
}

TEST(Hasher, AgreesWithTheVectorsInPiecesOfAnySize) {
  for (const auto& [length, expected] : vectors())
    for (const std::size_t piece : {1000u, 1024u, 4097u, 131072u, 300000u}) {
      Hasher hasher;
      for (std::size_t done = 0; done < length; done += piece)
        hasher.update(message().data() + done, std::min(piece, length - done));
      EXPECT_EQ(hasher.finish().hex(), expected) << length << " bytes in pieces of " << piece;
    }
}

TEST(Hasher, GoesOnAfterFinish) {
  Hasher hasher;
  for (std::size_t done = 0; done < 400000; done += 50000) {
    EXPECT_EQ(hasher.finish(), digest_of(message().data(), done, Backend::scalar));
    hasher.update(message().data() + done, 50000);
  }
}

std::string b3sum(const std::filesystem::path& file) {
  std::FILE* pipe = ::popen(("b3sum --no-names '" + file.string() + "'").c_str(), "r");
  char line[80] = {};
  const bool read = std::fgets(line, sizeof line, pipe) != nullptr;
  return ::pclose(pipe) == 0 && read ? std::string(line, 64) : "";
}

TEST(Digest, AgreesWithB3sumOnRandomFiles) {
  if (std::system("b3sum --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "b3sum is not installed";
  const auto path = std::filesystem::path(testing::TempDir()) / "samestep-b3sum-random";
  std::mt19937_64 random(std::random_device{}());
  for (int round = 0; round < 20; ++round) {
    std::vector<char> bytes(random() % (std::size_t{1} << (random() % 22)));
    for (char& byte : bytes) byte = static_cast<char>(random());
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    EXPECT_EQ(digest(std::as_bytes(std::span(bytes))).hex(), b3sum(path)) << bytes.size() << " bytes";
  }
  std::filesystem::remove(path);
}

TEST(Backend, TheScalarOneIsAlwaysThere) {
  EXPECT_TRUE(available(Backend::scalar));
  EXPECT_TRUE(available(best_backend()));
}

}  // namespace
}  // namespace samestep
