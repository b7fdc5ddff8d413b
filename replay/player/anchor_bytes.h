// An anchor's bytes as a replay hands them to the program, and who changed them where they are not what was recorded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "replay/recorder/descriptor.h"
#include "replay/run/error.h"
#include "replay/run/run_reader.h"

namespace samestep {

// An anchor that was edited, and where: what() has file, tensor, element, old and new value.
class TamperedAnchor : public TamperedInput {
 public:
  TamperedAnchor(const std::string& what, std::uint64_t anchor_step, std::string tensor_label)
      : TamperedInput(what), step(anchor_step), tensor(std::move(tensor_label)) {}
  std::uint64_t step;  // S
  std::string tensor;  // "weights_out/h.0.attn.weight"
};

// An anchor's file, held open: it stays readable when a recorder that still writes the run thins its anchors.
struct HeldAnchor {
  AnchorEntry entry;
  std::filesystem::path path;
  Descriptor file;
};
// Throws BrokenInput where the file is missing or leads out of the run.
[[nodiscard]] HeldAnchor hold_anchor(const RunReader& run, const AnchorEntry& anchor);

// A sealed memfd with the anchor's bytes, whose digest is the manifest's: what is verified is what is handed over, so
// that nobody can exchange the file in between. Throws TamperedInput or BrokenInput.
[[nodiscard]] Descriptor verified_anchor(const RunReader& run, const HeldAnchor& anchor);

// True where the manifest, read anew, still names this very anchor: then its file must be there. A recorder that thins
// takes it out of the manifest first.
[[nodiscard]] bool is_still_named(const RunReader& run, const AnchorEntry& anchor);

// Calls `read`, which reads files that the manifest of `run` names. Where it fails and a living recorder has thinned
// the anchors since that manifest was read, `run` is refreshed and `read` called again. Else what it throws passes
// through.
void with_named_anchors(RunReader& run, const std::function<void()>& read);

// RunReader::check_integrity() and check_anchors(); `same` may be said after it. Where an anchor was edited, the tensor
// is named, and element, old and new value as far as the recorded syndromes tell. Throws TamperedInput.
void check_run(const RunReader& run);

}  // namespace samestep
