// The seam between the tree of blocks (summary.cpp) and the instruction sets.
#pragma once

#include <cstdint>

#include "kernels/summary.h"
#include "kernels/summary/tree.h"

namespace samestep::summary {

// out[i] = block first + i of the tensor, i < blocks. REQUIRES the default floating-point environment.
using BlockKernel = void (*)(const TypedBuffer& tensor, std::uint64_t first, std::uint64_t blocks, Partial* out);

extern const BlockKernel scalar_blocks;
extern const BlockKernel avx2_blocks;    // REQUIRES available(Backend::avx2)
extern const BlockKernel avx512_blocks;  // REQUIRES available(Backend::avx512)

}  // namespace samestep::summary
