// A curve in the terminal: braille dots where the locale is UTF-8, ASCII where it is not.
#pragma once

#include <string>
#include <vector>

namespace samestep::cli {

struct CurvePoint {
  double x = 0;
  double y = 0;
};

struct PlotSize {
  std::size_t columns = 80;  // of the whole, labels included
  std::size_t rows = 12;     // of the curve
  bool unicode = true;
};

// The terminal's width (80 where there is none) and whether its locale is UTF-8.
[[nodiscard]] PlotSize terminal_size();

// Lines with a y axis on the left and an x axis below, each ended by '\n'. Points that are not finite are left out;
// empty where none is finite.
[[nodiscard]] std::string plot(const std::vector<CurvePoint>& points, const PlotSize& size);

}  // namespace samestep::cli
