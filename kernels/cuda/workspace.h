// Scratch memory for calls that are still under way: a ring of slots, each one pinned host memory for the plan, device
// memory for plan and results, and an event that says when the slot is free again. Host code; throws Error.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <vector>

namespace samestep::cuda {

struct Error {
  cudaError_t code;
};
inline void check(cudaError_t code) {
  if (code != cudaSuccess) throw Error{code};
}

class Slot {
 public:
  Slot() = default;
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() {
    if (!event_) return;
    cudaEventSynchronize(event_);
    release();
    cudaEventDestroy(event_);
  }

  // Waits until the slot's last call is done; then it has `host` bytes of pinned memory and `device` bytes of device
  // memory, whose first `host` bytes are the copy of the former.
  void prepare(std::size_t host, std::size_t device) {
    if (!event_) check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming));
    check(cudaEventSynchronize(event_));
    used_ = 0;
    if (host <= host_size_ && device <= device_size_) return;
    release();
    check(cudaMallocHost(&host_, host));
    host_size_ = host;
    check(cudaMalloc(&device_, device));
    device_size_ = device;
  }
  // Puts items into the plan; returns where they will lie on the device.
  template <class Item>
  const Item* put(const std::vector<Item>& items) {
    const std::size_t offset = used_;
    if (!items.empty()) std::memcpy(static_cast<char*>(host_) + offset, items.data(), items.size() * sizeof(Item));
    used_ += padded(items.size() * sizeof(Item));
    return reinterpret_cast<const Item*>(static_cast<char*>(device_) + offset);
  }
  // Room behind the plan.
  template <class Item>
  Item* reserve(std::size_t count) {
    const std::size_t offset = used_;
    used_ += padded(count * sizeof(Item));
    return reinterpret_cast<Item*>(static_cast<char*>(device_) + offset);
  }
  void upload(std::size_t bytes, cudaStream_t stream) {
    check(cudaMemcpyAsync(device_, host_, bytes, cudaMemcpyHostToDevice, stream));
  }
  void busy_until(cudaStream_t stream) { check(cudaEventRecord(event_, stream)); }

  static std::size_t padded(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

 private:
  void release() {
    cudaFreeHost(host_);
    cudaFree(device_);
    host_ = device_ = nullptr;
    host_size_ = device_size_ = 0;
  }

  cudaEvent_t event_ = nullptr;
  void* host_ = nullptr;
  void* device_ = nullptr;
  std::size_t host_size_ = 0, device_size_ = 0, used_ = 0;
};

}  // namespace samestep::cuda

struct samestep_cuda_workspace {
  std::mutex mutex;
  std::array<samestep::cuda::Slot, 8> slots;
  std::size_t next = 0;
};
