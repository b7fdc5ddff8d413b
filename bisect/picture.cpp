#include "bisect/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "replay/run/printable.h"

namespace samestep {
namespace {

constexpr std::size_t least_bar = 8, most_bar = 60;
constexpr std::size_t worth_saying = 12;  // columns: less of what is being done tells nothing

// In the order of RangeMark.
constexpr std::array<std::string_view, 8> glyphs{"◆", "▒", "✗", "✓", "~", "?", "━", "─"};
constexpr std::array<std::string_view, 8> ascii{"@", ".", "x", "+", "~", "?", "=", "-"};

std::size_t character_size(std::string_view text) {
  std::size_t size = 1;
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) ++size;
  return size;
}

// Above U+1100 a character may take two columns; it never takes more.
std::size_t columns_of_character(std::string_view character) {
  constexpr std::string_view hangul = "\xe1\x84\x80";
  return character.size() < hangul.size() || character < hangul ? 1 : 2;
}

std::string bar(const std::vector<RangeMark>& commits, std::size_t cells, bool unicode) {
  std::string text;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const std::size_t begin = cell * commits.size() / cells, end = (cell + 1) * commits.size() / cells;
    const RangeMark mark = *std::min_element(commits.begin() + static_cast<std::ptrdiff_t>(begin),
                                             commits.begin() + static_cast<std::ptrdiff_t>(end));
    text += (unicode ? glyphs : ascii).at(static_cast<std::size_t>(mark));
  }
  return "[" + text + "]";
}

std::string in_ascii(const std::string& text) {
  std::string result;
  for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(character_size(rest)))
    result += character_size(rest) == 1 ? rest.front() : '?';
  return result;
}

std::string cut(std::string_view text, std::size_t columns, bool unicode) {
  if (columns_of(text) <= columns) return std::string(text);
  const std::string dots = unicode ? "…" : "...";
  std::size_t room = columns - std::min(columns, columns_of(dots));
  std::string result;
  for (; !text.empty(); text.remove_prefix(character_size(text))) {
    const std::string_view character = text.substr(0, character_size(text));
    if (columns_of_character(character) > room) break;
    room -= columns_of_character(character);
    result += character;
  }
  return columns < columns_of(dots) ? "" : result + dots;
}

// The counts, as many as there is room for.
std::string counts(const RangePicture& picture, std::size_t room) {
  const std::size_t all = picture.trials + picture.left;
  const std::string long_form = fmt::format("{} of {} suspected, {} of ~{} trials", picture.suspected,
                                            picture.commits.size(), picture.trials, all);
  if (columns_of(long_form) <= room) return long_form;
  const std::string short_form = fmt::format("{} left, {} of ~{}", picture.suspected, picture.trials, all);
  return columns_of(short_form) <= room ? short_form : fmt::format("{} left", picture.suspected);
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  for (; !text.empty(); text.remove_prefix(character_size(text)))
    columns += columns_of_character(text.substr(0, character_size(text)));
  return columns;
}

std::size_t trials_left(std::size_t suspected, std::size_t settled, std::size_t workers) {
  constexpr std::size_t to_be_sure = 5;  // culprit and parent once more, and three on suspicion (docs/bisect.md)
  const double parts = std::log(static_cast<double>(workers + 1));
  const double rounds = suspected < 2 ? 0 : std::ceil(std::log(static_cast<double>(suspected)) / parts - 1e-9);
  return static_cast<std::size_t>(rounds) * workers + to_be_sure - std::min(settled, to_be_sure - 1);
}

std::string draw(const RangePicture& picture, std::size_t columns, bool unicode) {
  const std::size_t most = picture.commits.size();
  const std::size_t least = std::min(most, least_bar) + 3;  // its brackets and a space
  if (most == 0 || columns <= least) return "";
  const std::string said = counts(picture, columns - least);
  const std::size_t room = columns - std::min(columns, columns_of(said) + 3);
  const std::size_t cells = std::min({most, most_bar, std::max(columns / 4, least_bar), room});
  std::string line = cells == 0 ? said : bar(picture.commits, cells, unicode) + " " + said;
  const std::string doing = unicode ? printable(picture.doing) : in_ascii(printable(picture.doing));
  const std::size_t taken = columns_of(said) + (cells == 0 ? 0 : cells + 3) + 2;
  if (doing.empty() || taken + worth_saying > columns) return cells == 0 ? cut(line, columns, unicode) : line;
  return line + ": " + cut(doing, columns - taken, unicode);
}

}  // namespace samestep
