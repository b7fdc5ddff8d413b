// The range of a search on one line of a terminal: what was tried, what is still suspected, what is left to do.
//
//   [+-----?--+....@...x==x====x] 9 of 1000 suspected, 7 of ~16 trials: 021ed1ca Swap the betas
//
// Pure: values in, text out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace samestep {

// Of one commit; where many share a column, the one that stands first here is shown.
enum class RangeMark : std::uint8_t {
  trying,      // a trial is at it
  suspected,   // not tried yet, or not settled
  diverged,    // it answered so, mostly
  same,        // so it did
  flaky,       // nothing but that it differs from itself
  untestable,  // nothing but that
  after,       // not tried: it contains what is suspected, or comes after it
  before,      // not tried: cleared
};

struct RangePicture {
  std::vector<RangeMark> commits;  // oldest first
  std::size_t suspected = 0;
  std::size_t trials = 0;  // done
  std::size_t left = 0;    // about so many more
  std::string doing;       // any text: the trial at hand
};

// At most `columns` wide, so that a carriage return leads back to its beginning; without control characters. ASCII
// where not `unicode`.
[[nodiscard]] std::string draw(const RangePicture& picture, std::size_t columns, bool unicode);

// How many trials are still to come where no answer is wrong: halves (with N workers, parts) of what is suspected, then
// what it takes to be sure; `settled` of those are done.
[[nodiscard]] std::size_t trials_left(std::size_t suspected, std::size_t settled, std::size_t workers);

// The columns that a line of UTF-8 takes at most: whatever may be wide counts as two.
[[nodiscard]] std::size_t columns_of(std::string_view text);

}  // namespace samestep
