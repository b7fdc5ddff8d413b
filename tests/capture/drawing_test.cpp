// A generator that is moved without drawing stands where drawing would have brought it.
#include "replay/capture/drawing.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

namespace samestep::capture {
namespace {

void expect_equal(const at::mt19937_data_pod& a, const at::mt19937_data_pod& b, std::uint64_t words) {
  EXPECT_EQ(a.left_, b.left_) << words;
  EXPECT_EQ(a.next_, b.next_) << words;
  EXPECT_EQ(a.state_, b.state_) << words;
}

TEST(Drawing, AdvancesAsTheEngineDoes) {
  for (const std::uint64_t begun : {0U, 1U, 623U, 624U, 625U, 1000U}) {
    for (const std::uint64_t words : {0U, 1U, 2U, 226U, 227U, 622U, 623U, 624U, 625U, 1247U, 1248U, 1249U, 100000U}) {
      at::mt19937 drawn(begun + 7);
      for (std::uint64_t i = 0; i < begun; ++i) drawn();
      auto moved = drawn.data();
      for (std::uint64_t i = 0; i < words; ++i) drawn();
      advance(moved, words);
      expect_equal(moved, drawn.data(), words);
    }
  }
}

TEST(Drawing, FindsHowManyWordsAnOperatorDrew) {
  at::manual_seed(3);
  const auto tensor = at::empty({50, 20});
  const GeneratorMark before;
  tensor.bernoulli_(0.3);
  const auto words = before.words_since(1000);
  ASSERT_TRUE(words);
  const auto state = at::detail::getDefaultCPUGenerator().get_state();

  at::manual_seed(3);
  advance_generator(*words);
  EXPECT_TRUE(at::equal(state, at::detail::getDefaultCPUGenerator().get_state()));
}

TEST(Drawing, KnowsNoNumberWhereANormalIsKeptForTheNextDraw) {
  at::manual_seed(3);
  const GeneratorMark before;
  at::empty({1}).normal_();
  EXPECT_FALSE(before.words_since(1));
}

TEST(Drawing, KnowsNoNumberForAnotherCount) {
  at::manual_seed(3);
  const GeneratorMark before;
  advance_generator(7);
  EXPECT_FALSE(before.words_since(1000));
}

}  // namespace
}  // namespace samestep::capture
