#include "cli/numbers.h"

#include <fmt/format.h>

#include <cstdint>

namespace samestep::cli {

CLI::Validator some_seconds() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        double seconds = 0;
        // Of a number that is none, no comparison is true.
        if (CLI::detail::lexical_cast(text, seconds) && seconds >= 0.001 && seconds <= 1e9) return "";
        return fmt::format("takes seconds, from 0.001 to 1000000000, not {}", text);
      },
      "SECONDS");
}

CLI::Validator at_least_one() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        std::uint64_t count = 0;
        if (CLI::detail::lexical_cast(text, count) && count > 0) return "";
        return fmt::format("takes a whole number from 1 on, not {}", text);
      },
      "POSITIVE");
}

CLI::Validator some_bytes() {
  const CLI::AsSizeValue size(false);
  return CLI::Validator(
      [size](std::string& text) -> std::string {
        const std::string written = text;
        if (std::string error = size(text); !error.empty()) return error;
        return text == "0" ? fmt::format("takes a size from 1 byte on, not {}: leave it out for no limit", written)
                           : "";
      },
      "SIZE [b, kb(=1024b), ...]");
}

}  // namespace samestep::cli
