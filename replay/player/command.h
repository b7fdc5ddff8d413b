// What a replay starts: the recorded command or another, under the recorded pins. A run directory may come from someone
// else, so of its manifest only the command, the folder and the pins that pins.h knows are taken, and the command only
// where the run is the caller's own.
#pragma once

#include "replay/player/player.h"
#include "replay/recorder/launch.h"
#include "replay/recorder/pins.h"
#include "replay/recorder/seeds.h"

namespace samestep {

struct Command {
  Launch launch;                     // without `output`
  std::vector<Pin> pins;             // in effect: recorded ones, then overridden
  std::vector<Seed> seeds;           // recorded
  bool gives_seeds = true;           // not to another command than the recorded one
  bool seeds_by_arguments = false;   // a file of the command has changed: a seed that it gives its program may be meant
  std::vector<std::string> remarks;  // what a reader should know before it starts: overridden pins, another command
};

// `recorded`: of the session whose steps are asked for. Throws BrokenInput where the run is another user's and
// options.command is empty, where no command was recorded, or where options.set names no pin.
[[nodiscard]] Command command_for(const nlohmann::json& recorded, const ReplayOptions& options);
// True where the run's manifest belongs to the caller: it may name a program to start, and files to put back.
[[nodiscard]] bool is_own_run(const std::filesystem::path& run);
// Of such a session; empty where there is none.
[[nodiscard]] std::vector<std::string> recorded_command(const nlohmann::json& recorded);

// "samestep diff 'my run' other": a command as a shell takes it.
[[nodiscard]] std::string shell_words(const std::vector<std::string>& words);

}  // namespace samestep
