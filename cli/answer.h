// How every verb answers: a verdict or an object on standard output, errors as one line on standard error.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "replay/compare/verdict.h"

namespace samestep::cli {

// Prints the verdict (text or one JSON object) and returns its exit code.
int answer(const Verdict& verdict, bool json);
void print(const nlohmann::json& json);

// Runs `verb`, which returns an exit code. TamperedInput becomes the verdict `tampered` (exit 4); BrokenInput and what
// else the machine throws one line "samestep: ..." (exit 2), with --json besides {"error": ...} on standard output.
int guarded(bool json, const std::function<int()>& verb);

// One line "samestep: WHAT" on standard error, with json besides {"error": WHAT} on standard output; returns
// exit_usage.
int fail(bool json, const std::string& what);

// The help's last lines: an example and the exit codes.
[[nodiscard]] std::string footer(const std::string& example, const std::string& exit_codes);

// "2026-11-22 14:05:09 UTC"
[[nodiscard]] std::string utc(std::int64_t nanoseconds);

}  // namespace samestep::cli
