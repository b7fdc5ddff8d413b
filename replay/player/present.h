// What is there now of what the recording was made of: files are digested beside the replay.
#pragma once

#include "replay/compare/environment.h"
#include "replay/player/command.h"
#include "replay/player/watch.h"
#include "replay/recorder/file_digests.h"
#include "replay/recorder/program_code.h"

namespace samestep {

class Present {
 public:
  // Begins to digest the recorded files and the command's. `recorded`, of the session that is replayed, must outlive
  // it. `another_revision`: what runs is not what git would say of the command's folder, so it is not asked.
  Present(const nlohmann::json& recorded, const Command& command, bool another_revision);

  // Before the start: sentences about the program, its arguments and the revision, where they changed.
  [[nodiscard]] std::vector<std::string> changes() const;
  // The manifest's `what` of the replay itself, without files.
  [[nodiscard]] const nlohmann::json& what() const { return what_; }
  // What the replay ran in and on, to be compared with the recording's. Waits for the digests; call it once.
  [[nodiscard]] Surroundings surroundings(const Findings& findings);

 private:
  const nlohmann::json& recorded_;
  nlohmann::json what_;
  std::vector<std::string> command_files_;
  FileDigests digests_;
  ProgramCode code_;
};

// Whether a file that the recorded command names (its program, a script, a configuration) has other contents now.
[[nodiscard]] bool command_has_changed(const nlohmann::json& recorded);

}  // namespace samestep
