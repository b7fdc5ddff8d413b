// Where the tensors of both sides are at hand, as files: how many elements differ, and by how much.
#pragma once

#include <filesystem>
#include <string>

#include "replay/run/lanes.h"

namespace samestep {

// The label that a dump or an anchor gives the entry `tensor` of `lane`: "gradients/head.weight", "loss/0" for "#0".
[[nodiscard]] std::string tensor_label(Lane lane, const std::string& tensor);

// "gradients/head.weight: 3 of 4096 elements differ, ..." for the tensor `label`; for an empty label the first tensor
// of both files that differs. Empty where one file lacks it, shapes differ, or nothing does.
[[nodiscard]] std::string tensor_difference(const std::filesystem::path& a, const std::filesystem::path& b,
                                            const std::string& label);

}  // namespace samestep
