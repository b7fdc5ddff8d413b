// The one place for the environment variables that are pinned while recording, and that a replay re-creates.
//
// A pin freezes what the program would have had here and never lowers it; a value that the user set wins; a pin that
// would change bits or slow the program down on this machine is left unset, and the manifest says why
// (docs/recording.md has the measurements).
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "replay/recorder/launch.h"

namespace samestep {

using Environment = std::map<std::string, std::string>;
// Of this process.
[[nodiscard]] Environment current_environment();

struct Pin {
  std::string name;
  std::optional<std::string> value;  // nullopt: not set in the program's environment
  std::string by;                    // "samestep", "user", or "nobody" (left unset)
  std::string why;                   // one clause; empty where the user set it
};

// What decides the pins, read from this machine once; a value, so that other machines can be tested.
struct Machine {
  std::size_t physical_cores = 1;  // in the affinity mask: the threads that LibTorch would take
  bool x86 = false;
  bool intel = false;
  bool avx2 = false;    // AVX2 and FMA
  bool avx512 = false;  // F, BW, DQ, VL and FMA: what LibTorch asks for
  bool nvidia = false;  // a driver is loaded
};
[[nodiscard]] Machine this_machine();

// Every pin of the list, for a command started in `environment`.
[[nodiscard]] std::vector<Pin> pins_for_recording(const Environment& environment, std::span<const std::string> argv,
                                                  const Machine& machine = this_machine());
// The same for a program that runs already: what its environment holds, nothing else.
[[nodiscard]] std::vector<Pin> pins_of_a_running_program(std::vector<Pin> pins);
// The pins as a manifest keeps them ("pins" in Manifest::what), and back. Of a manifest only the names of this header
// are taken, and only values of letters, digits and ",.:_=+-" up to 64 characters: never a loader or path variable.
[[nodiscard]] nlohmann::json to_json(std::span<const Pin> pins);
[[nodiscard]] std::vector<Pin> pins_from_manifest(const nlohmann::json& what);
// What a launch must change in `environment` so that the command has exactly these pins.
[[nodiscard]] EnvironmentChanges changes_for(std::span<const Pin> pins, const Environment& environment);

// True for a name that a replay may re-create or `--set`.
[[nodiscard]] bool is_pin(std::string_view name);
// {"values": {name: value}, "names": [the others]}, as the manifest keeps it (replay/run/steering.h says whose values).
// No secret enters.
[[nodiscard]] nlohmann::json kept_environment(const Environment& environment);

}  // namespace samestep
