// Which numbers an option takes, told so that a person knows what to write instead.
#pragma once

#include <CLI/CLI.hpp>

namespace samestep::cli {

// A duration, of a millisecond to some thirty years.
[[nodiscard]] CLI::Validator some_seconds();
// How many of something: a whole number from 1 on.
[[nodiscard]] CLI::Validator at_least_one();
// A limit in bytes, e.g. 8GB. One of nothing is none that could be meant.
[[nodiscard]] CLI::Validator some_bytes();

}  // namespace samestep::cli
