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

#include "replay/compare/environment.h"
#include "replay/compare/verdict.h"
#include "replay/recorder/launch.h"
#include "replay/view/earlier_state.h"

namespace samestep {

class View;

struct ReplayOptions {
  std::filesystem::path run;
  std::optional<std::uint64_t> from;       // first step asked for; default: the run's first
  std::optional<std::uint64_t> to;         // one past the last; default: the run's end when the replay starts
  std::map<std::string, std::string> set;  // pins to override; only names that is_pin() knows
  std::optional<std::filesystem::path>
      save;                                  // keep the replay here, as a run directory too; must not exist or be empty
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
      keep_output;                              // what was written in the view goes here; must not exist or be empty
  std::uint32_t rank = 0;                       // the process that is compared
  std::optional<std::filesystem::path> folder;  // for what it leaves behind, without `save`; as that one
  Limits limits;                                // of each replay
  // The code is another revision's on purpose: what changed around the run is neither told nor weighed as a suspect.
  bool another_revision = false;
  // Of a program that is led to an anchor without computing: what parts behind the anchor is called as it is. Else the
  // window is computed from the start before anything is called.
  bool led_counts = false;
  bool computed = false;     // it is led to none: all is computed from the start
  bool called_once = false;  // what parts is called on one replay: whoever asks has seen it repeat
  // Of another revision too, files and all: the answer tells what changed around the run.
  bool look_around = false;
  // Set or removed in the program's environment over the recorded pins. The caller's own word, never a manifest's.
  EnvironmentChanges environment;
  // Stand in the view when the program starts, in place of what is there; their folders are laid over. REQUIRES not
  // in_place.
  std::vector<EarlierFile> exchanged;
  // Called once with the view, before the program starts in it: what it runs there and settles, every replay finds. A
  // sentence where the program cannot be tried then; the answer is untestable. REQUIRES not in_place.
  std::function<std::string(View&)> prepare;
  std::function<void(const std::string&)> say = [](const std::string&) {};  // lines for standard error
  // About once a second while the program runs, from another thread; "" when it has ended, before anything is said.
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

struct ReplayAnswer {
  Verdict verdict;
  bool untestable = false;              // the program did not start: exit code 125, and the evidence says why
  bool passed_limit = false;            // a replay passed its limit of time or memory, and was ended for that
  std::filesystem::path folder;         // empty where the program was never launched
  std::optional<std::uint64_t> anchor;  // S of the one that the judged replay started from
  int asked_to_stop = 0;                // the signal by which somebody asked for its end: the verdict says nothing then
  std::filesystem::path full_disk;      // of what the program wrote, where it failed and found no room; else empty
  std::uint64_t steps_run = 0;          // computed in all replays that the answer took
  // After the last step of the first replay; equal ones mean that the same steps were done. Nullopt: none was.
  std::optional<Digest> chain;
  // Around the run, recorded against now. Of another revision without files where nobody looked around.
  std::vector<EnvironmentDifference> differences;
};

// Throws TamperedInput where the run's contents contradict each other; BrokenInput for what cannot be read, a folder
// that cannot be written, a --set that is no pin, a jump into a program that has no loop for it, a machine that allows
// no view (ViewRefused), and a run of another user's without `command` (its manifest names the program to start).
// REQUIRES the main thread (see launch()).
[[nodiscard]] ReplayAnswer replay(const ReplayOptions& options);

// 0, 1, 3, 4 as the outcome says; 125 where untestable.
[[nodiscard]] int exit_code(const ReplayAnswer& answer);

}  // namespace samestep
