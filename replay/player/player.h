// replay/player/ runs a recorded program again and says whether it did the same: it picks the anchor, launches the
// command with a sink that compares each step as it commits, replays a divergence once more before it is called, and
// judges. It may include kernels/ and replay/{run,checkpoint,compare,recorder,view}; no HDF5, no LibTorch of its own. A
// run directory comes in, a Verdict goes out; what the program printed, the tensors of a divergent step and the verdict
// stay in the replay's own folder.
//
// This header: the one call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replay/compare/verdict.h"

namespace samestep {

struct ReplayOptions {
  std::filesystem::path run;
  std::optional<std::uint64_t> from;       // first step asked for; default: the run's first
  std::optional<std::uint64_t> to;         // one past the last; default: the run's end when the replay starts
  std::map<std::string, std::string> set;  // pins to override; only names that is_pin() knows
  std::optional<std::filesystem::path>
      save;                      // keep the replay here, as a run directory too; must not exist or be empty
  std::filesystem::path folder;  // without `save`: what the replay leaves goes here; default: one in samestep-runs
  std::optional<std::filesystem::path> cwd;  // default: the recorded folder
  std::vector<std::string> command;          // default: the recorded command
  bool keep_going = false;                   // compare on after the first divergence
  bool ignore_environment = false;
  bool jump = false;                        // enter the program's loop at the anchor, where its loop allows that
  std::vector<Lane> pins;                   // lanes taken from the recording: hyper, rng
  bool in_place = false;                    // in the folder itself, not in a view (replay/view/view.h)
  std::vector<std::filesystem::path> view;  // folders that the program may write to besides, copy-on-write
  std::vector<std::filesystem::path> show;  // stay as they are now, although the recording made or changed them
  bool network = false;                     // the machine's, in a view
  std::optional<std::filesystem::path>
      keep_output;         // what was written in the view goes here; must not exist or be empty
  std::uint32_t rank = 0;  // the process that is compared
  std::function<void(const std::string&)> say = [](const std::string&) {};  // lines for standard error
  // About once a second while the program runs, from another thread; "" when it has ended, before anything is said.
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

struct ReplayAnswer {
  Verdict verdict;
  bool untestable = false;              // the program did not start: exit code 125, and the evidence says why
  std::filesystem::path folder;         // empty where the program was never launched
  std::optional<std::uint64_t> anchor;  // S of the one that the judged replay started from
};

// Throws TamperedInput where the run's contents contradict each other; BrokenInput for what cannot be read, a folder
// that cannot be written, a --set that is no pin, a jump into a program that has no loop for it, a machine that allows
// no view (ViewRefused), and a run of another user's without `command` (its manifest names the program to start).
// REQUIRES the main thread (see launch()).
[[nodiscard]] ReplayAnswer replay(const ReplayOptions& options);

// 0, 1, 3, 4 as the outcome says; 125 where untestable.
[[nodiscard]] int exit_code(const ReplayAnswer& answer);

}  // namespace samestep
