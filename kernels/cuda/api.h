// The C interface of libsamestep_cuda.so: digests and summaries of tensors in device memory, with the bits of the host
// functions (kernels/digest.h, kernels/summary.h). The library brings its own CUDA runtime, linked statically, so it
// is opened with dlopen when the first CUDA tensor is met and a program without CUDA never needs it. Streams and
// pointers of PyTorch work: all CUDA runtimes of a process share the devices' primary contexts.
//
// Order and lifetime. The work is enqueued on the caller's stream: what was enqueued there before is seen, what comes
// after cannot change the answer. Lists are copied before the functions return; the tensors must live until the stream
// has passed. `out` may be device memory, pinned host memory (asynchronous; valid when the stream has passed) or pageable
// host memory (the call may then wait for the stream).
//
// Errors: each function returns 0, or a cudaError_t that samestep_cuda_error() puts into words; then nothing may be
// assumed about `out`. A capturing stream (CUDA graphs) is refused.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Changes whenever anything below does; samestep_cuda_version() gives the library's own.
#define SAMESTEP_CUDA_VERSION 1

// Scratch memory on one device: eight slots, so that as many calls may be under way before one has to wait for the
// oldest. A slot grows when a longer list than before comes (which may synchronize the device), and is never shrunk.
// May be used from several threads.
typedef struct samestep_cuda_workspace samestep_cuda_workspace;

typedef struct samestep_cuda_buffer {
  const void* data;  // device memory; may be null only where size is 0
  size_t size;       // bytes
} samestep_cuda_buffer;

typedef struct samestep_cuda_tensor {
  const void* data;   // device memory, contiguous, aligned to its element size
  size_t elements;
  uint8_t dtype;      // samestep::DType
} samestep_cuda_tensor;

int samestep_cuda_version(void);
// Devices that can be used; 0 where there is no driver, too.
int samestep_cuda_device_count(void);
// In words; never null.
const char* samestep_cuda_error(int code);

// For the device that is current on this thread. Closing waits for what is under way.
int samestep_cuda_open(samestep_cuda_workspace** workspace);
void samestep_cuda_close(samestep_cuda_workspace* workspace);

// out + 32 i = BLAKE3-256 of buffers[i]. `stream` is a cudaStream_t of the workspace's device, null the default one.
int samestep_cuda_digest(samestep_cuda_workspace* workspace, const samestep_cuda_buffer* buffers, size_t count,
                         uint8_t* out, void* stream);
// ((samestep::Summary*)out)[i], 112 bytes each, of tensors[i].
int samestep_cuda_summarize(samestep_cuda_workspace* workspace, const samestep_cuda_tensor* tensors, size_t count,
                            void* out, void* stream);

#ifdef __cplusplus
}
#endif
