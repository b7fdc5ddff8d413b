#include "replay/capture/device_digest.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstring>
#include <map>

#include "replay/capture/device_kernels.h"
#include "replay/capture/parallel.h"
#include "replay/capture/tensors.h"

namespace samestep::capture {
namespace {

// No CUDA header is needed for the stream: LibTorch hands out its native handle.
void* current_stream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

std::vector<samestep_cuda_buffer> device_list(const std::vector<at::Tensor>& tensors,
                                              const std::vector<std::size_t>& places, const Digest*) {
  std::vector<samestep_cuda_buffer> list;
  for (const auto place : places) list.push_back({tensors[place].const_data_ptr(), tensors[place].nbytes()});
  return list;
}

std::vector<samestep_cuda_tensor> device_list(const std::vector<at::Tensor>& tensors,
                                              const std::vector<std::size_t>& places, const Summary*) {
  std::vector<samestep_cuda_tensor> list;
  for (const auto place : places) {
    const auto& tensor = tensors[place];
    list.push_back({tensor.const_data_ptr(), static_cast<std::size_t>(tensor.numel()),
                    static_cast<std::uint8_t>(dtype_of(tensor))});
  }
  return list;
}

int enqueue(DeviceKernels& kernels, int device, const std::vector<samestep_cuda_buffer>& list, void* out,
            void* stream) {
  return kernels.digest(kernels.workspace(device), list.data(), list.size(), static_cast<std::uint8_t*>(out), stream);
}

int enqueue(DeviceKernels& kernels, int device, const std::vector<samestep_cuda_tensor>& list, void* out,
            void* stream) {
  return kernels.summarize(kernels.workspace(device), list.data(), list.size(), out, stream);
}

void compute(const std::vector<at::Tensor>& copies, std::span<Digest> results) {
  std::vector<Buffer> buffers;
  for (const auto& copy : copies) buffers.push_back({copy.const_data_ptr(), copy.nbytes()});
  digest(buffers, results, torch_parallel());
}

void compute(const std::vector<at::Tensor>& copies, std::span<Summary> results) {
  std::vector<TypedBuffer> buffers;
  for (const auto& copy : copies) {
    buffers.push_back({copy.const_data_ptr(), static_cast<std::size_t>(copy.numel()), dtype_of(copy)});
  }
  summarize(buffers, results, torch_parallel());
}

}  // namespace

template <class Result>
DeviceWork<Result>::DeviceWork(const std::vector<at::Tensor>& tensors, const std::vector<std::size_t>& places)
    : tensors_(tensors) {
  std::map<c10::DeviceIndex, std::vector<std::size_t>> by_device;
  for (const auto place : places) {
    if (tensors[place].is_cuda() && DeviceKernels::load() != nullptr) {
      by_device[tensors[place].get_device()].push_back(place);
    } else {
      left_.push_back(place);
    }
  }
  for (auto& [index, own] : by_device) order(at::Device(at::kCUDA, index), std::move(own));
}

template <class Result>
void DeviceWork<Result>::order(at::Device device, std::vector<std::size_t> places) {
  const c10::DeviceGuard guard(device);
  const auto size = static_cast<std::int64_t>(places.size() * sizeof(Result));
  auto results = at::empty({size}, at::TensorOptions(device).dtype(at::kByte));
  auto& kernels = *DeviceKernels::load();
  const auto list = device_list(tensors_, places, static_cast<const Result*>(nullptr));
  kernels.check(enqueue(kernels, device.index(), list, results.mutable_data_ptr(), current_stream(device)));
  ordered_.push_back({std::move(places), std::move(results)});
}

template <class Result>
void DeviceWork<Result>::finish(std::span<Result> results) {
  if (!left_.empty()) on_the_host(results);
  for (const auto& [places, on_device] : ordered_) {
    const auto bytes = on_device.cpu();
    const auto* own = static_cast<const std::byte*>(bytes.const_data_ptr());
    for (std::size_t i = 0; i < places.size(); ++i) {
      std::memcpy(static_cast<void*>(&results[places[i]]), own + i * sizeof(Result), sizeof(Result));
    }
  }
}

template <class Result>
void DeviceWork<Result>::on_the_host(std::span<Result> results) const {
  std::vector<at::Tensor> copies;
  for (const auto place : left_) copies.push_back(on_host(tensors_[place]));
  std::vector<Result> own(copies.size());
  compute(copies, std::span<Result>(own));
  for (std::size_t i = 0; i < left_.size(); ++i) results[left_[i]] = own[i];
}

template class DeviceWork<Digest>;
template class DeviceWork<Summary>;

}  // namespace samestep::capture
