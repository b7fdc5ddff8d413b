// `--save`: the replay's own records as a run directory, so that `samestep diff RUN DIR` can compare them.
#pragma once

#include <filesystem>
#include <optional>

#include "replay/recorder/protocol.h"
#include "replay/run/manifest.h"
#include "replay/run/segment_writer.h"

namespace samestep {

class SavedRun {
 public:
  // `what`: the manifest's, with the replay's command. `chain_before`: of the step before `first_step` in the
  // recording, which the saved chain takes up, so that both runs' chains can be compared.
  SavedRun(std::filesystem::path folder, nlohmann::json what, std::uint32_t rank, std::uint64_t first_step,
           const Digest& chain_before);

  void begin(const protocol::Hello& hello);
  void add(const StepRecord& record, const Layout& layout);
  // Closes the log and writes how it ended. Idempotent.
  void end(const std::string& how);

 private:
  void next_segment(const Layout& layout, std::size_t slots);
  void close_segment(const std::string& how);
  void write();

  std::filesystem::path folder_;
  Manifest manifest_;
  std::uint32_t rank_;
  std::uint64_t next_step_;
  Digest chain_;
  Digest log_chain_;
  protocol::Hello hello_;
  Layout layout_;
  std::optional<SegmentWriter> writer_;
};

}  // namespace samestep
