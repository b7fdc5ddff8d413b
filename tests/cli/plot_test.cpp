// The curve in the terminal.
#include "cli/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

namespace samestep::cli {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

PlotSize ascii(std::size_t columns = 60, std::size_t rows = 5) {
  return {columns, rows, false};
}

TEST(Plot, OfNothingIsEmpty) {
  EXPECT_EQ(plot({}, ascii()), "");
  EXPECT_EQ(plot({{0, std::numeric_limits<double>::quiet_NaN()}}, ascii()), "");
}

TEST(Plot, AFallingCurveGoesFromTopLeftToBottomRight) {
  const auto lines = lines_of(plot({{0, 4}, {10, 0}}, ascii()));
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_THAT(lines[0], HasSubstr("4 |*"));
  EXPECT_EQ(lines[4].back(), '*');
  EXPECT_THAT(lines[6], HasSubstr("0"));
  EXPECT_THAT(lines[6], HasSubstr("10"));
}

TEST(Plot, NoLineIsWiderThanTheTerminal) {
  std::vector<CurvePoint> points;
  for (int i = 0; i < 1000; ++i) points.push_back({i * 1.0, i % 7 * 1.0});
  for (const std::string& line : lines_of(plot(points, ascii(60)))) EXPECT_LE(line.size(), 60U);
}

TEST(Plot, AConstantCurveAndASinglePointAreDrawn) {
  EXPECT_THAT(plot({{0, 2}, {5, 2}}, ascii()), HasSubstr("*"));
  EXPECT_THAT(plot({{3, 2}}, ascii()), HasSubstr("*"));
}

TEST(Plot, InBrailleTheFirstDotIsTheTopLeftOne) {
  const std::string text = plot({{0, 1}, {9, 0}}, {60, 5, true});
  EXPECT_THAT(text, HasSubstr("\xe2\xa0"));
}

}  // namespace
}  // namespace samestep::cli
