// The command line of a test's small trainer: --name VALUE or --name alone.
#pragma once

#include <map>
#include <string>

namespace samestep::testing {

// Values by name, empty for a name without one.
using Words = std::map<std::string, std::string>;

inline Words words_of(int argc, char** argv) {
  Words words;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const bool has_value = i + 1 < argc && std::string(argv[i + 1]).rfind("--", 0) != 0;
    words[name] = has_value ? argv[++i] : "";
  }
  return words;
}

}  // namespace samestep::testing
