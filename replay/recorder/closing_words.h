// What `record` says to the person, as text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "replay/recorder/manifest_keeper.h"
#include "replay/run/record.h"

namespace samestep {

// As the user would type it.
[[nodiscard]] std::string shown(const std::filesystem::path& path);
// "1.2 MB".
[[nodiscard]] std::string human(std::uint64_t bytes);

// The events of each kind with the text of the most telling one, of so many kinds as a person reads; empty where there
// were none. Errors were said when they happened.
[[nodiscard]] std::string events_line(const ManifestKeeper& manifest);

struct Recorded {
  std::filesystem::path run;
  std::uint64_t steps = 0;
  std::uint64_t log_bytes = 0;
  Digest chain;  // of `rank`: the lowest that has steps
  std::uint32_t rank = 0;
  std::size_t ranks = 0;  // that have steps
  bool someone_connected = false;
  bool is_python = false;     // the command names one
  std::string without_hooks;  // the option with which that starts without the one that records; empty: none
  std::string ended;          // how the command ended, where it was not well: "exited with code 2"
  bool failed = false;
  std::string gone;  // a file of the run that is no longer there: it cannot be read
};
// The last line: steps, place, size, bytes a step, chain head (and whose, where that is not plain), next command; or
// why there are no steps, or no run.
[[nodiscard]] std::string last_line(const Recorded& recorded);

}  // namespace samestep
