// Anchors: a run's full training state after S updates, as safetensors, and their comparison with what the log recorded
// of the step before (S - 1, moment O). Tensors are named "<lane>/<column>": weights_out, optimizer, rng and state; a
// column that is a list has "<lane>/<column>/0", "/1", and so on. "resume/<the same name>" holds what the program
// changed between O and the end of its iteration, "reached/<variable>" what its variables held besides at O; the log
// says nothing of those, the manifest's digest vouches for them. docs/format.md, "Anchors", has the whole.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "replay/checkpoint/safetensors.h"
#include "replay/run/record.h"

namespace samestep {

struct AnchorFile {
  Safetensors tensors;                              // views into the bytes that were parsed
  nlohmann::json about = nlohmann::json::object();  // metadata "samestep", as the capture wrote it
  std::uint64_t step = 0;                           // S
  std::uint32_t rank = 0;
};

// Parses `bytes`, which must outlive the result. Throws BrokenInput where they are not an anchor of this format.
[[nodiscard]] AnchorFile parse_anchor(std::span<const std::byte> bytes, const std::string& origin);

// One element of a tensor that was edited, named from the log's syndrome and believed because the digest of the mended
// copy is the recorded one. Bits are the element's bytes, least significant first in the number.
struct EditedElement {
  std::vector<std::int64_t> index;  // in the tensor's shape
  DType dtype = DType::f32;
  std::vector<std::byte> found, expected;
};
// "element [3, 17] is 0.1250001 (0x3e000004), was 0.125 (0x3e000000)"
std::ostream& operator<<(std::ostream& out, const EditedElement& edit);

// A tensor of an anchor that is not what the log recorded.
struct AnchorDisagreement {
  std::string tensor;  // its label in the anchor: "weights_out/h.0.attn.weight"
  std::string how;     // one sentence without the label
  std::optional<EditedElement> element;
};
std::ostream& operator<<(std::ostream& out, const AnchorDisagreement& disagreement);

struct AnchorComparison {
  std::vector<AnchorDisagreement> disagreements;
  std::size_t compared = 0;    // columns that the log has a digest of
  std::size_t unrecorded = 0;  // columns that it has not: another optimizer's, or thinned detail
};

// Compares with the record of step S - 1. REQUIRES fits(record, layout).
[[nodiscard]] AnchorComparison compare_anchor(const AnchorFile& anchor, const StepRecord& record, const Layout& layout);

// The same for bytes; throws TamperedInput that names `origin` and the first tensors that disagree.
void check_anchor(std::span<const std::byte> bytes, const std::string& origin, const StepRecord& record,
                  const Layout& layout);

}  // namespace samestep
