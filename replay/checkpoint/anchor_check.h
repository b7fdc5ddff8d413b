// A run's anchors against its own log. Needs the reader, and with it HDF5, so it is a target of its own
// (samestep_anchor_check) that the training program does not link.
#pragma once

#include "replay/run/run_reader.h"

namespace samestep {

// Compares every anchor with the step before it as its own segment holds it, tensor by tensor; anchors that a resume
// has pushed out of the line of steps too. Together with
// RunReader::check_integrity(), which compares the files' digests, this is all that can be checked without running
// anything. Throws TamperedInput naming file, tensor and, where the log has a syndrome, the edited element; BrokenInput
// for a file that is no anchor.
void check_anchors(const RunReader& run);

}  // namespace samestep
