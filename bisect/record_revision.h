// A recording of one revision, made in a view of the user's own checkout: the reference of a bisect that begins without
// one. What the program writes goes with the view; the run stays.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bisect/checkout.h"

namespace samestep {

struct RevisionRecording {
  std::vector<std::string> command;  // REQUIRES at least one word
  std::filesystem::path cwd;         // of the command, absolute
  std::filesystem::path run;         // the run directory; must not exist or be empty
  std::uint64_t steps = 0;           // the program is stopped after so many; 0: it runs to its end
  std::uint64_t anchor_every = 0;    // as RecordOptions
  std::string build;                 // a shell's command, in the checkout's top folder; empty: nothing is built
  Limits build_limits, limits;
  std::vector<std::filesystem::path> view;  // laid over besides
  bool network = false;
  std::filesystem::path folder;                                             // for what is printed; made
  std::function<void(const std::string&)> say = [](const std::string&) {};  // lines for standard error
};

// The run's manifest names `commit` as its revision, and lists no file of the checkout: those that it would have
// digested are the user's, not the revision's. `why` where no step was recorded. Throws BrokenInput where the recording
// cannot begin, ViewRefused where there are no views. REQUIRES the main thread (see launch()).
[[nodiscard]] Prepared record_revision(const Repository& repository, const std::string& commit,
                                       const RevisionRecording& wanted);

}  // namespace samestep
