// How a function is marked that is compiled for more than one machine: for the host and a CUDA device, or for several
// instruction sets in one program. It must be inlined everywhere: as an ordinary inline function it would be emitted
// by every unit, and the linker might keep the copy that only newer processors can run.
#pragma once

#if defined(__CUDACC__)
#define SAMESTEP_HOST_DEVICE __host__ __device__
#else
#define SAMESTEP_HOST_DEVICE
#endif
#define SAMESTEP_INLINE SAMESTEP_HOST_DEVICE inline __attribute__((always_inline))
#define SAMESTEP_CONSTEXPR SAMESTEP_HOST_DEVICE constexpr __attribute__((always_inline))

// A function that only a kernel calls: device code where it is compiled for a device, ordinary code where the same
// source runs on the host (tests/kernels/fibers.h).
#if defined(__CUDACC__)
#define SAMESTEP_DEVICE __device__ __forceinline__
#else
#define SAMESTEP_DEVICE inline
#endif
