#include "cli/plot.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "cli/terminal.h"

namespace samestep::cli {
namespace {

constexpr std::size_t label_width = 11;

struct Bounds {
  double left = 0, right = 0, bottom = 0, top = 0;
};

// A grid of dots, `across` x `down` of them in each character cell.
class Raster {
 public:
  Raster(std::size_t columns, std::size_t rows, bool unicode)
      : across_(unicode ? 2 : 1),
        down_(unicode ? 4 : 1),
        width_(columns * across_),
        height_(rows * down_),
        unicode_(unicode),
        dots_(width_ * height_) {}

  [[nodiscard]] std::size_t width() const { return width_; }
  [[nodiscard]] std::size_t height() const { return height_; }
  void set(std::size_t x, std::size_t y) { dots_[y * width_ + x] = true; }

  [[nodiscard]] std::string line(std::size_t row) const {
    std::string text;
    for (std::size_t column = 0; column < width_ / across_; ++column) text += cell(column, row);
    return text;
  }

 private:
  // U+2800 plus one bit a dot: dots 1-3 and 7 down the left, 4-6 and 8 down the right.
  [[nodiscard]] std::string cell(std::size_t column, std::size_t row) const {
    if (!unicode_) return dots_[row * width_ + column] ? "*" : " ";
    static constexpr unsigned bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    unsigned code = 0;
    for (std::size_t y = 0; y < 4; ++y) {
      for (std::size_t x = 0; x < 2; ++x) {
        if (dots_[(row * 4 + y) * width_ + column * 2 + x]) code |= bits[y][x];
      }
    }
    return {'\xe2', static_cast<char>(0xa0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
  }

  std::size_t across_, down_, width_, height_;
  bool unicode_;
  std::vector<bool> dots_;
};

Bounds bounds_of(const std::vector<CurvePoint>& points) {
  Bounds bounds{points.front().x, points.front().x, points.front().y, points.front().y};
  for (const CurvePoint& point : points) {
    bounds.left = std::min(bounds.left, point.x);
    bounds.right = std::max(bounds.right, point.x);
    bounds.bottom = std::min(bounds.bottom, point.y);
    bounds.top = std::max(bounds.top, point.y);
  }
  if (bounds.top == bounds.bottom) {
    bounds.top += 0.5;
    bounds.bottom -= 0.5;
  }
  return bounds;
}

std::size_t scaled(double value, double low, double high, std::size_t count) {
  if (high <= low) return 0;
  return static_cast<std::size_t>(std::lround((value - low) / (high - low) * static_cast<double>(count - 1)));
}

// Neighbouring points are joined by a vertical stroke, so that a jump shows as a line.
void draw(Raster& raster, const std::vector<CurvePoint>& points, const Bounds& bounds) {
  std::size_t previous = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::size_t x = scaled(points[i].x, bounds.left, bounds.right, raster.width());
    const std::size_t y = raster.height() - 1 - scaled(points[i].y, bounds.bottom, bounds.top, raster.height());
    const std::size_t from = i == 0 ? y : previous;
    for (std::size_t at = std::min(from, y); at <= std::max(from, y); ++at) raster.set(x, at);
    previous = y;
  }
}

std::string label(const Bounds& bounds, std::size_t row, std::size_t rows) {
  if (row != 0 && row != rows - 1 && row != rows / 2) return "";
  const double share = static_cast<double>(row) / static_cast<double>(rows - 1);
  return fmt::format("{:.5g}", bounds.top - share * (bounds.top - bounds.bottom));
}

std::string repeated(const std::string& piece, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += piece;
  return text;
}

std::string x_axis(const Bounds& bounds, std::size_t columns, bool unicode) {
  const std::string left = fmt::format("{:g}", bounds.left);
  const std::string right = fmt::format("{:g}", bounds.right);
  const std::size_t gap = columns > left.size() + right.size() ? columns - left.size() - right.size() : 1;
  const std::string margin(label_width, ' ');
  return margin + (unicode ? "└" : "+") + repeated(unicode ? "─" : "-", columns) + "\n" + margin + " " + left +
         std::string(gap, ' ') + right + "\n";
}

}  // namespace

PlotSize terminal_size() {
  PlotSize size;
  if (const std::size_t columns = terminal_columns(STDOUT_FILENO); columns > 0) size.columns = columns;
  size.columns = std::clamp<std::size_t>(size.columns, 40, 160);
  size.unicode = is_utf8_locale();
  return size;
}

std::string plot(const std::vector<CurvePoint>& points, const PlotSize& size) {
  std::vector<CurvePoint> finite;
  std::copy_if(points.begin(), points.end(), std::back_inserter(finite),
               [](const CurvePoint& point) { return std::isfinite(point.y); });
  if (finite.empty()) return "";
  const std::size_t columns = size.columns - label_width - 2;
  const Bounds bounds = bounds_of(finite);
  Raster raster(columns, size.rows, size.unicode);
  draw(raster, finite, bounds);
  std::string text;
  for (std::size_t row = 0; row < size.rows; ++row) {
    text += fmt::format("{:>{}} {}{}\n", label(bounds, row, size.rows), label_width - 1, size.unicode ? "│" : "|",
                        raster.line(row));
  }
  return text + x_axis(bounds, columns, size.unicode);
}

}  // namespace samestep::cli
