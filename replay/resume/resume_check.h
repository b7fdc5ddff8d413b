// replay/resume/ answers whether a program's own resume is the training that was not interrupted. It records the
// program uninterrupted, records it again and kills it, lets the user's resume command go on from what the killed one
// left behind, and compares. It may include replay/{run,compare,recorder,view,player}; no HDF5, no LibTorch of its own.
// Two commands and a step come in, a verdict goes out.
//
//   workplace.h          where a command runs: views, or copies of the folder
//   sample.h             one start of a command, recorded
//   killing_recorder.h   the recorder that kills
//   take_up.h            at which step of the uninterrupted run a resume took up
//   interrupted_run.h    what was killed and what went on, as one run
//   judge.h              from the recordings to the verdict
//   anchors.h            without a resume command: Samestep's own anchors
//
// This header: the one call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "replay/compare/verdict.h"

namespace samestep {

struct ResumeOptions {
  std::vector<std::string> argv;            // the program, uninterrupted
  std::string resume;                       // the user's command, as a shell takes it; empty: Samestep's anchors
  std::uint64_t at = 0;                     // the program is killed after this step
  std::uint64_t steps = 0;                  // look at so many steps only; 0: at the whole run
  std::filesystem::path cwd;                // absolute
  std::filesystem::path keep;               // recordings and output stay here (must not exist or be empty); empty: gone
  bool in_place = false;                    // in copies of `cwd`, not in views
  std::vector<std::filesystem::path> view;  // folders that the commands may write to besides, copy-on-write
  bool network = false;                     // the machine's, in a view
  bool ignore_environment = false;
  std::function<void(const std::string&)> say = [](const std::string&) {};  // lines for standard error
};

struct ResumeAnswer {
  Verdict verdict;                           // A: uninterrupted; B: interrupted and resumed
  std::optional<std::uint64_t> killed_at;    // the last step that the killed program had made
  std::optional<std::uint64_t> taken_up_at;  // the first step of the resume, by its weights
  std::optional<std::uint64_t> twice_to;     // up to this step the uninterrupted program was seen to repeat itself
  bool tested_anchors = false;               // no resume command was given
  bool untestable = false;                   // a command does not start: exit code 125
};

// Throws BrokenInput where options.steps leaves no step to compare, a folder cannot be written, or this machine allows
// no view (ViewRefused); TamperedInput where a recording contradicts itself. REQUIRES the main thread (see launch()).
[[nodiscard]] ResumeAnswer resume_check(const ResumeOptions& options);

// 0, 1, 3, 4 as the outcome says; 125 where untestable.
[[nodiscard]] int exit_code(const ResumeAnswer& answer);
// The verdict's fields, and those of the answer.
[[nodiscard]] nlohmann::json to_json(const ResumeAnswer& answer);

}  // namespace samestep
