// The source of the CUDA kernels, on host fibers: its bits are those of the host functions in every schedule.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "kernels/cuda/digest.h"
#include "kernels/cuda/plan.h"
#include "kernels/cuda/summarize.h"
#include "tests/kernels/fibers.h"
#include "tests/kernels/vectors.h"

namespace samestep {
namespace {

std::vector<Digest> digest_on_fibers(const std::vector<Buffer>& buffers, fibers::Schedule schedule) {
  const cuda::DigestPlan plan = cuda::plan_digests(buffers.data(), buffers.size());
  std::vector<cuda::Word> values(8 * plan.values, 0xDEADBEEF);
  std::vector<Digest> digests(buffers.size());
  const cuda::DigestArguments arguments{plan.messages.data(), plan.tails.data(), plan.messages.size(),
                                        plan.tails.size(),    plan.whole,        plan.slots,
                                        values.data(),        reinterpret_cast<cuda::Word*>(digests.data())};
  fibers::launch<cuda::DigestShared>(
      plan.blocks(), cuda::digest_threads, schedule,
      [&](fibers::Thread& thread, cuda::DigestShared& shared) { cuda::hash_subtrees(thread, shared, arguments); });
  fibers::launch<fibers::NoSharedMemory>(
      plan.messages.size(), cuda::join_threads, schedule,
      [&](fibers::Thread& thread, fibers::NoSharedMemory&) { cuda::join_subtrees(thread, arguments); });
  return digests;
}

std::string name_of(const testing::TestParamInfo<fibers::Schedule>& instance) {
  static const char* const names[] = {"forward", "backward", "shuffled"};
  return names[static_cast<int>(instance.param.order)] + std::to_string(instance.param.seed);
}

class OnFibers : public testing::TestWithParam<fibers::Schedule> {};
INSTANTIATE_TEST_SUITE_P(Schedules, OnFibers, testing::ValuesIn(fibers::schedules), name_of);

TEST_P(OnFibers, DigestsGiveTheOfficialVectorsInOneList) {
  std::vector<Buffer> buffers;
  for (const auto& [length, expected] : vectors()) buffers.push_back({message().data(), length});
  const std::vector<Digest> digests = digest_on_fibers(buffers, GetParam());
  for (std::size_t i = 0; i < buffers.size(); ++i)
    EXPECT_EQ(digests[i].hex(), vectors()[i].digest) << buffers[i].size << " bytes";
}

TEST_P(OnFibers, DigestsEqualTheHostOnRandomLists) {
  std::mt19937_64 random(GetParam().seed + 10);
  for (int round = 0; round < 5; ++round) {
    std::vector<Buffer> buffers(1 + random() % 100);
    for (Buffer& buffer : buffers)
      buffer = {message().data() + random() % 1000, random() % (std::size_t{1} << (random() % 19))};
    std::vector<Digest> expected(buffers.size());
    digest(buffers, expected);
    EXPECT_EQ(digest_on_fibers(buffers, GetParam()), expected);
  }
}

// Tails of many messages must fill blocks without gaps: 262 tensors of a small model are a few hundred blocks, not more.
TEST(DigestPlan, FillsBlocksWithChunksOfDifferentMessages) {
  std::vector<Buffer> buffers(1000, Buffer{message().data(), 3000});  // 3 chunks: tails of 2 and 1
  const cuda::DigestPlan plan = cuda::plan_digests(buffers.data(), buffers.size());
  EXPECT_EQ(plan.slots, 3000u);
  EXPECT_EQ(plan.blocks(), (3000 + 127) / 128u);
}

std::vector<Summary> summarize_on_fibers(const std::vector<TypedBuffer>& tensors, fibers::Schedule schedule) {
  const cuda::SummaryPlan plan = cuda::plan_summaries(tensors.data(), tensors.size());
  std::vector<summary::Partial> partials(plan.blocks);
  std::vector<summary::Result> results(tensors.size());
  std::memset(static_cast<void*>(partials.data()), 0xA5, partials.size() * sizeof partials[0]);
  const cuda::SummaryArguments arguments{plan.tensors.data(), plan.tensors.size(), partials.data(), results.data()};
  fibers::launch<cuda::SummaryShared>(
      plan.blocks, cuda::summary_threads, schedule,
      [&](fibers::Thread& thread, cuda::SummaryShared& shared) { cuda::summarize_blocks(thread, shared, arguments); });
  fibers::launch<fibers::NoSharedMemory>(
      tensors.size(), cuda::join_threads, schedule,
      [&](fibers::Thread& thread, fibers::NoSharedMemory&) { cuda::join_blocks(thread, arguments); });
  std::vector<Summary> summaries(tensors.size());
  std::memcpy(static_cast<void*>(summaries.data()), results.data(), results.size() * sizeof results[0]);
  return summaries;
}

TEST_P(OnFibers, SummariesOfEveryTypeHaveTheBitsOfTheHost) {
  std::mt19937_64 random(5);
  std::vector<std::uint8_t> bytes(std::size_t{3} << 20);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 40);
  std::vector<TypedBuffer> tensors;
  for (int value = 1; value <= 17; ++value)
    for (const std::size_t elements : {0u, 1u, 33u, 4096u, 4097u, 20000u})
      tensors.push_back({bytes.data(), elements, static_cast<DType>(value)});
  tensors.push_back({bytes.data(), std::size_t{700000}, DType::f32});
  std::vector<Summary> expected(tensors.size());
  summarize(tensors, expected);
  const std::vector<Summary> found = summarize_on_fibers(tensors, GetParam());
  for (std::size_t i = 0; i < tensors.size(); ++i)
    EXPECT_EQ(std::memcmp(&found[i], &expected[i], sizeof found[i]), 0)
        << name(tensors[i].dtype) << " x " << tensors[i].elements;
}

}  // namespace
}  // namespace samestep
