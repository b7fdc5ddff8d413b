#include "replay/capture/device_digest.h"

#include "replay/capture/parallel.h"
#include "replay/capture/tensors.h"

namespace samestep::capture {

DeviceDigests::DeviceDigests(const std::vector<at::Tensor>& tensors, const std::vector<std::size_t>& places)
    : tensors_(tensors), places_(places) {}

// Without the shared object the bytes are copied to the host and digested there: slow, and the same digests.
void DeviceDigests::finish(std::span<Digest> digests) {
  if (places_.empty()) return;
  std::vector<at::Tensor> copies;
  std::vector<Buffer> buffers;
  for (const auto place : places_) {
    copies.push_back(on_host(tensors_[place]));
    buffers.push_back({copies.back().const_data_ptr(), copies.back().nbytes()});
  }
  std::vector<Digest> results(buffers.size());
  samestep::digest(buffers, results, torch_parallel());
  for (std::size_t i = 0; i < places_.size(); ++i) digests[places_[i]] = results[i];
}

}  // namespace samestep::capture
