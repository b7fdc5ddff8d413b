// An anchor's bytes as a replay hands them to the program, and who changed them where they are not what was recorded.
#pragma once

#include <cstdint>
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

// A sealed memfd with the anchor's bytes, whose digest is the manifest's: what is verified is what is handed over, so
// that nobody can exchange the file in between. Throws TamperedInput or BrokenInput.
[[nodiscard]] Descriptor verified_anchor(const RunReader& run, const AnchorEntry& anchor);

// RunReader::check_integrity() and check_anchors(); `same` may be said after it. Where an anchor was edited, the tensor
// is named, and element, old and new value as far as the recorded syndromes tell. Throws TamperedInput.
void check_run(const RunReader& run);

}  // namespace samestep
