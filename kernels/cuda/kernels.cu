// The kernels of digest.h and summarize.h on a CUDA device, and the C interface around them. Compiled with -fmad=false
// and without fast math: a product and a sum are rounded separately, as on the host.
#include <new>

#include "kernels/cuda/api.h"
#include "kernels/cuda/digest.h"
#include "kernels/cuda/summarize.h"
#include "kernels/cuda/workspace.h"

namespace samestep::cuda {
namespace {

struct DeviceThread {
  unsigned index = threadIdx.x, block = blockIdx.x;
  __device__ void sync() { __syncthreads(); }
};

}  // namespace

__global__ void __launch_bounds__(digest_threads) samestep_hash_subtrees(DigestArguments arguments) {
  __shared__ DigestShared shared;
  DeviceThread thread;
  hash_subtrees(thread, shared, arguments);
}

__global__ void __launch_bounds__(join_threads) samestep_join_subtrees(DigestArguments arguments) {
  DeviceThread thread;
  join_subtrees(thread, arguments);
}

__global__ void __launch_bounds__(summary_threads) samestep_summarize_blocks(SummaryArguments arguments) {
  __shared__ SummaryShared shared;
  DeviceThread thread;
  summarize_blocks(thread, shared, arguments);
}

__global__ void __launch_bounds__(join_threads) samestep_join_blocks(SummaryArguments arguments) {
  DeviceThread thread;
  join_blocks(thread, arguments);
}

namespace {

template <class... Items>
std::size_t bytes_of(const std::vector<Items>&... items) {
  return (Slot::padded(items.size() * sizeof(Items)) + ... + 0);
}

void refuse_capture(cudaStream_t stream) {
  cudaStreamCaptureStatus status;
  check(cudaStreamIsCapturing(stream, &status));
  if (status != cudaStreamCaptureStatusNone) throw Error{cudaErrorStreamCaptureUnsupported};
}

void digest(Slot& slot, const DigestPlan& plan, std::uint8_t* out, cudaStream_t stream) {
  const std::size_t host = bytes_of(plan.messages, plan.tails), digests = 32 * plan.messages.size();
  slot.prepare(host, host + Slot::padded(32 * plan.values) + Slot::padded(digests));
  DigestArguments arguments{};
  arguments.messages = slot.put(plan.messages);
  arguments.tails = slot.put(plan.tails);
  arguments.message_count = plan.messages.size();
  arguments.tail_count = plan.tails.size();
  arguments.whole = plan.whole;
  arguments.slots = plan.slots;
  arguments.values = slot.reserve<Word>(8 * plan.values);
  arguments.digests = slot.reserve<Word>(8 * plan.messages.size());
  slot.upload(host, stream);
  samestep_hash_subtrees<<<static_cast<unsigned>(plan.blocks()), digest_threads, 0, stream>>>(arguments);
  check(cudaGetLastError());
  samestep_join_subtrees<<<static_cast<unsigned>(plan.messages.size()), join_threads, 0, stream>>>(arguments);
  check(cudaGetLastError());
  check(cudaMemcpyAsync(out, arguments.digests, digests, cudaMemcpyDefault, stream));
}

void summarize(Slot& slot, const SummaryPlan& plan, void* out, cudaStream_t stream) {
  const std::size_t host = bytes_of(plan.tensors), results = plan.tensors.size() * sizeof(summary::Result);
  slot.prepare(host, host + Slot::padded(plan.blocks * sizeof(summary::Partial)) + Slot::padded(results));
  SummaryArguments arguments{};
  arguments.tensors = slot.put(plan.tensors);
  arguments.tensor_count = plan.tensors.size();
  arguments.partials = slot.reserve<summary::Partial>(plan.blocks);
  arguments.results = slot.reserve<summary::Result>(plan.tensors.size());
  slot.upload(host, stream);
  if (plan.blocks > 0)
    samestep_summarize_blocks<<<static_cast<unsigned>(plan.blocks), summary_threads, 0, stream>>>(arguments);
  check(cudaGetLastError());
  samestep_join_blocks<<<static_cast<unsigned>(plan.tensors.size()), join_threads, 0, stream>>>(arguments);
  check(cudaGetLastError());
  check(cudaMemcpyAsync(out, arguments.results, results, cudaMemcpyDefault, stream));
}

// Runs body(slot) on the next slot, and marks it busy even if only part of the work could be enqueued.
template <class Body>
int with_slot(samestep_cuda_workspace* workspace, void* stream, const Body& body) {
  try {
    const auto cuda_stream = static_cast<cudaStream_t>(stream);
    const std::lock_guard lock(workspace->mutex);
    refuse_capture(cuda_stream);
    Slot& slot = workspace->slots[workspace->next++ % workspace->slots.size()];
    body(slot, cuda_stream);
    slot.busy_until(cuda_stream);
    return cudaSuccess;
  } catch (const Error& error) {
    cudaGetLastError();  // or the next launch of the program would report ours
    return error.code;
  } catch (const std::bad_alloc&) {
    return cudaErrorMemoryAllocation;
  }
}

}  // namespace
}  // namespace samestep::cuda

using namespace samestep;

#define SAMESTEP_CUDA_API extern "C" __attribute__((visibility("default")))

SAMESTEP_CUDA_API int samestep_cuda_version(void) { return SAMESTEP_CUDA_VERSION; }

SAMESTEP_CUDA_API int samestep_cuda_device_count(void) {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

SAMESTEP_CUDA_API const char* samestep_cuda_error(int code) {
  return cudaGetErrorString(static_cast<cudaError_t>(code));
}

SAMESTEP_CUDA_API int samestep_cuda_open(samestep_cuda_workspace** workspace) {
  if (samestep_cuda_device_count() == 0) return cudaErrorNoDevice;
  *workspace = new (std::nothrow) samestep_cuda_workspace;
  return *workspace ? cudaSuccess : cudaErrorMemoryAllocation;
}

SAMESTEP_CUDA_API void samestep_cuda_close(samestep_cuda_workspace* workspace) { delete workspace; }

SAMESTEP_CUDA_API int samestep_cuda_digest(samestep_cuda_workspace* workspace, const samestep_cuda_buffer* buffers,
                                           size_t count, uint8_t* out, void* stream) {
  if (count == 0) return cudaSuccess;
  return cuda::with_slot(workspace, stream, [&](cuda::Slot& slot, cudaStream_t cuda_stream) {
    std::vector<Buffer> list(count);
    for (size_t i = 0; i < count; ++i) list[i] = {buffers[i].data, buffers[i].size};
    cuda::digest(slot, cuda::plan_digests(list.data(), count), out, cuda_stream);
  });
}

SAMESTEP_CUDA_API int samestep_cuda_summarize(samestep_cuda_workspace* workspace, const samestep_cuda_tensor* tensors,
                                              size_t count, void* out, void* stream) {
  if (count == 0) return cudaSuccess;
  return cuda::with_slot(workspace, stream, [&](cuda::Slot& slot, cudaStream_t cuda_stream) {
    std::vector<TypedBuffer> list(count);
    for (size_t i = 0; i < count; ++i) list[i] = {tensors[i].data, tensors[i].elements, static_cast<DType>(tensors[i].dtype)};
    cuda::summarize(slot, cuda::plan_summaries(list.data(), count), out, cuda_stream);
  });
}
