// Text that came from a file, a socket or a program, as one harmless line for a terminal or a report.
#pragma once

#include <string>
#include <string_view>

namespace samestep {

// The same text with what could act on a terminal or pretend to be another line written out: control characters (C0, C1
// and DEL), line and paragraph separators, bidirectional overrides and isolates as "\x1b" or "\u202e"; bytes that are
// no UTF-8 as "\xff". Everything else, letters of any script included, stays.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace samestep
