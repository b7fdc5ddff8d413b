// One start of a command, recorded: from outside of where it runs, into the check's own folder.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "replay/recorder/continuation.h"
#include "replay/recorder/launch.h"
#include "replay/resume/workplace.h"

namespace samestep {

// A run on disk and what came of the command beside it.
struct Sample {
  std::string name;  // "uninterrupted": of the run's folder, and in sentences
  std::filesystem::path run;
  std::filesystem::path output;  // what the command printed
  Ending ending;
  std::vector<std::filesystem::path> refused;  // writes that the view refused

  // True where a step was recorded: the run can be read.
  [[nodiscard]] bool has_steps() const;
};

struct SampleOptions {
  std::string name;
  std::vector<std::string> argv;
  std::uint64_t stop_after = 0;                  // steps; 0: never
  std::uint64_t anchor_every = 0;                // 0: no anchors
  std::optional<std::uint64_t> kill_after = {};  // see killing_recorder.h
  // A run whose secret and seeds the command is given, so that it draws what that one drew although it seeds nothing.
  // Nullptr: its own, as any start of it.
  const Sample* repeats = nullptr;
  std::function<Continuation(std::uint32_t rank, const protocol::Start&)> go_on = {};  // see RecordOptions
};

// Runs it to its end. `folder`: of the check. Throws BrokenInput where the recording cannot begin, ViewRefused.
[[nodiscard]] Sample record_sample(const ResumeOptions& check, const SampleOptions& options, Workplace& place,
                                   const std::filesystem::path& folder);

}  // namespace samestep
