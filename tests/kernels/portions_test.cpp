#include "kernels/portions.h"

#include <gtest/gtest.h>

#include <numeric>

namespace samestep {
namespace {

std::vector<std::size_t> cut(const std::vector<std::size_t>& costs, std::size_t portions) {
  const std::size_t total = std::accumulate(costs.begin(), costs.end(), std::size_t{0});
  return cut_into_portions(costs.size(), portions, total, [&](std::size_t i) { return costs[i]; });
}

TEST(Portions, CoverEveryItemOnceInOrder) {
  for (const std::size_t portions : {1, 2, 7, 8, 100}) {
    const auto bounds = cut({1, 128, 128, 3, 1, 1, 128, 70, 128, 2}, portions);
    EXPECT_EQ(bounds.front(), 0u);
    EXPECT_EQ(bounds.back(), 10u);
    EXPECT_TRUE(std::is_sorted(bounds.begin(), bounds.end()));
    EXPECT_LE(bounds.size(), portions + 1);
  }
}

// A list of 25 subtrees used to be cut into seven portions; of two threads, one got four of them.
TEST(Portions, GiveEachOfTwoThreadsHalfTheWork) {
  const std::vector<std::size_t> costs(25, 128);
  const std::size_t portions = portions_for(25 * 128, 2, 64, 512);
  const auto bounds = cut(costs, portions);
  ASSERT_EQ(bounds.size() - 1, portions);
  EXPECT_EQ(portions % 2, 0u);
  const std::size_t first_half = bounds[portions / 2];
  EXPECT_GE(first_half, 12u);
  EXPECT_LE(first_half, 13u);
}

TEST(Portions, AreNeitherTooSmallNorTooLarge) {
  EXPECT_EQ(portions_for(10, 2, 64, 512), 2u);          // less than two portions' worth: one for each thread
  EXPECT_EQ(portions_for(3200, 2, 64, 512), 8u);        // four for each thread
  EXPECT_GE(portions_for(1 << 20, 2, 64, 512), 2048u);  // none much larger than 512
  EXPECT_EQ(portions_for(3200, 0, 64, 512), portions_for(3200, 1, 64, 512));
}

}  // namespace
}  // namespace samestep
