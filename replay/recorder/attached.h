// A program that runs already and asked for a recorder (a notebook): nothing is started, it is told where to connect.
#pragma once

#include "replay/recorder/launch.h"

namespace samestep {

// Instead of starting a command it writes one line of JSON to standard output, {"environment": {NAME: value}}: the
// variables that samestep sets for a command's sessions. The program has ended once standard input ends.
class AttachedProgram : public Enclosure {
 public:
  [[nodiscard]] std::unique_ptr<Running> start(const Start& start, Ending& failed) override;
};

}  // namespace samestep
