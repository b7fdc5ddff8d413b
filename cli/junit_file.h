// --junit FILE: an answer for a build server.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "replay/compare/junit.h"

namespace samestep::cli {

// Adds the option.
void add_junit(CLI::App* verb, std::string& file);

// Runs `verb` with a file that it may write its answer to: nothing is written where `file` is empty. The file says from
// the beginning that there is no answer yet, so that one from yesterday is not taken for today's, and what went wrong
// where `verb` throws. `name` and `about` as in JUnitSuite. Throws BrokenInput where the file cannot be written, before
// anything has run.
using WriteCases = std::function<void(std::vector<JUnitCase>)>;
int with_junit(const std::string& file, const std::string& name, const std::string& about,
               const std::function<int(const WriteCases&)>& verb);

}  // namespace samestep::cli
