#include "kernels/compare.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <sstream>
#include <vector>

namespace samestep {
namespace {

template <class Element>
Comparison compare_as(DType dtype, const std::vector<Element>& a, const std::vector<Element>& b) {
  const std::size_t elements = a.size() * sizeof(Element) / element_size(dtype);
  return compare({a.data(), elements, dtype}, {b.data(), elements, dtype});
}

std::string text(const Comparison& comparison) {
  std::ostringstream out;
  out << comparison;
  return out.str();
}

TEST(Compare, FindsEqualTensorsEqualEvenWithNaN) {
  const std::vector<float> x = {1, NAN, INFINITY, -0.0f};
  const Comparison found = compare_as(DType::f32, x, x);
  EXPECT_TRUE(found.same());
  EXPECT_EQ(found.first, std::nullopt);
  EXPECT_EQ(found.nonfinite_a, 2u);
  EXPECT_EQ(text(found), "equal");
}

TEST(Compare, MeasuresTheLargestErrors) {
  const std::vector<float> a = {1, 2, 100, 8}, b = {1, std::nextafter(2.0f, 3.0f), 101, 4};
  const Comparison found = compare_as(DType::f32, a, b);
  EXPECT_EQ(found.differing, 3u);
  EXPECT_EQ(found.first, 1u);
  EXPECT_EQ(found.max_abs, 4);
  EXPECT_EQ(found.max_relative, 0.5);
  EXPECT_EQ(found.max_ulp, std::uint64_t{1} << 23);
  EXPECT_EQ(text(found), "3 of 4 elements differ, first at 1; max error 4 absolute, 0.5 relative, 8388608 ULP");
}

TEST(Compare, CountsUlpsAcrossZero) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(compare_as<float>(DType::f32, {-tiny}, {tiny}).max_ulp, 2u);
  const Comparison zeros = compare_as<float>(DType::f32, {0.0f}, {-0.0f});
  EXPECT_EQ(zeros.differing, 1u);
  EXPECT_EQ(zeros.max_ulp, 0u);
  EXPECT_EQ(compare_as<double>(DType::f64, {1.0}, {std::nextafter(1.0, 0.0)}).max_ulp, 1u);
  EXPECT_EQ(compare_as<std::uint16_t>(DType::bf16, {0x3F80}, {0x3F83}).max_ulp, 3u);
  EXPECT_EQ(compare_as<std::uint16_t>(DType::f16, {0x3C00}, {0x3C01}).max_abs, std::ldexp(1, -10));
  EXPECT_EQ(compare_as<std::uint8_t>(DType::f8_e4m3, {0x38}, {0xB8}).max_abs, 2);
}

TEST(Compare, LeavesNonFiniteElementsOutOfTheErrors) {
  const std::vector<float> a = {1, NAN, 3}, b = {1, 2, INFINITY};
  const Comparison found = compare_as(DType::f32, a, b);
  EXPECT_EQ(found.differing, 2u);
  EXPECT_EQ(found.nonfinite_a, 1u);
  EXPECT_EQ(found.nonfinite_b, 1u);
  EXPECT_EQ(found.max_abs, 0);
  EXPECT_NE(text(found).find("not finite: 1 and 1"), std::string::npos);
}

TEST(Compare, TakesIntegersExactly) {
  using Limits = std::numeric_limits<std::int64_t>;
  EXPECT_EQ(compare_as<std::int64_t>(DType::i64, {Limits::max()}, {Limits::max() - 1}).max_abs, 1);
  EXPECT_EQ(compare_as<std::int64_t>(DType::i64, {Limits::max()}, {Limits::min()}).max_ulp, ~std::uint64_t{0});
  EXPECT_EQ(compare_as<std::uint8_t>(DType::boolean, {0, 1}, {1, 1}).differing, 1u);
  EXPECT_EQ(compare_as<std::int8_t>(DType::i8, {-3}, {5}).max_abs, 8);
}

TEST(Compare, CountsComplexElementsOnce) {
  const std::vector<float> a = {1, 2, 3, 4}, b = {1, 2, 4, 8};
  const Comparison found = compare_as(DType::c64, a, b);
  EXPECT_EQ(found.elements, 2u);
  EXPECT_EQ(found.differing, 1u);
  EXPECT_EQ(found.first, 1u);
  EXPECT_EQ(found.max_abs, 4);
}

TEST(Compare, OfNothingIsEqual) { EXPECT_TRUE(compare({}, {}).same()); }

}  // namespace
}  // namespace samestep
