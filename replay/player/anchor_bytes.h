// An anchor's bytes as a replay hands them to the program, and who changed them where they are not what was recorded.
#pragma once

#include "replay/recorder/descriptor.h"
#include "replay/run/run_reader.h"

namespace samestep {

// A sealed memfd with the anchor's bytes, whose digest is the manifest's: what is verified is what is handed over, so
// that nobody can exchange the file in between. Throws TamperedInput or BrokenInput.
[[nodiscard]] Descriptor verified_anchor(const RunReader& run, const AnchorEntry& anchor);

// RunReader::check_integrity(), with the edited tensor, element, old and new value named where an anchor was edited and
// the recorded syndromes tell. Throws TamperedInput.
void check_run(const RunReader& run);

}  // namespace samestep
