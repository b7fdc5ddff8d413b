#include "replay/capture/tensors.h"

#include <cstring>
#include <stdexcept>
#include <utility>

#include "replay/capture/device_digest.h"
#include "replay/capture/parallel.h"

namespace samestep::capture {
namespace {

constexpr std::pair<at::ScalarType, DType> element_types[] = {
    {at::kBool, DType::boolean},
    {at::kByte, DType::u8},
    {at::kChar, DType::i8},
    {at::kShort, DType::i16},
    {at::kUInt16, DType::u16},
    {at::kInt, DType::i32},
    {at::kUInt32, DType::u32},
    {at::kLong, DType::i64},
    {at::kUInt64, DType::u64},
    {at::kHalf, DType::f16},
    {at::kBFloat16, DType::bf16},
    {at::kFloat, DType::f32},
    {at::kDouble, DType::f64},
    {at::kFloat8_e4m3fn, DType::f8_e4m3},
    {at::kFloat8_e5m2, DType::f8_e5m2},
    {at::kComplexFloat, DType::c64},
    {at::kComplexDouble, DType::c128},
};

Buffer buffer_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr(), tensor.nbytes()};
}

TypedBuffer typed_buffer_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr(), static_cast<std::size_t>(tensor.numel()), dtype_of(tensor)};
}

}  // namespace

DType dtype_of(const at::Tensor& tensor) {
  for (const auto& [torch_type, dtype] : element_types) {
    if (tensor.scalar_type() == torch_type) return dtype;
  }
  throw std::invalid_argument(std::string("element type ") + c10::toString(tensor.scalar_type()) +
                              " has no place in the run format");
}

at::ScalarType scalar_type(DType dtype) {
  for (const auto& [torch_type, ours] : element_types) {
    if (dtype == ours) return torch_type;
  }
  throw std::invalid_argument("unknown element type " + std::to_string(static_cast<int>(dtype)));
}

Shape shape_of(const at::Tensor& tensor) {
  return tensor.sizes().vec();
}

at::Tensor readable(const at::Tensor& tensor) {
  if (tensor.layout() == at::kStrided) {
    if (tensor.is_contiguous() && !tensor.is_conj() && !tensor.is_neg()) return tensor;
    return tensor.detach().resolve_conj().resolve_neg().contiguous();
  }
  if (tensor.layout() == at::kMkldnn) return tensor.detach().to_dense().contiguous();
  throw std::invalid_argument("a sparse tensor cannot be read where a dense one is expected");
}

at::Tensor on_host(const at::Tensor& tensor) {
  auto dense = readable(tensor);
  return dense.device().is_cpu() ? dense : dense.detach().to(at::kCPU);
}

at::Tensor host_copy(const at::Tensor& tensor) {
  auto host = on_host(tensor);
  return host.is_same(tensor) || host.is_alias_of(tensor) ? host.detach().clone() : host;
}

void overwrite(at::Tensor target, at::Tensor source) {
  target = target.detach();
  for (std::int64_t d = 0; target.layout() == at::kStrided && d < target.dim(); ++d) {
    if (target.stride(d) != 0 || target.size(d) < 2) continue;
    target = target.narrow(d, 0, 1);
    source = source.narrow(d, 0, 1);
  }
  target.copy_(source);
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  const auto left = on_host(a), right = on_host(b);
  return left.nbytes() == 0 || std::memcmp(left.const_data_ptr(), right.const_data_ptr(), left.nbytes()) == 0;
}

std::vector<at::Tensor> parts_of(const at::Tensor& tensor) {
  if (tensor.layout() != at::kSparse) return {tensor};
  const auto coalesced = tensor.detach().coalesce();
  return {coalesced.indices(), coalesced.values()};
}

at::Tensor scalar_tensor(std::int64_t value) {
  return at::full({}, value, at::kLong);
}
at::Tensor scalar_tensor(double value) {
  return at::full({}, value, at::kDouble);
}

std::size_t Reading::add(const at::Tensor& tensor, bool summarize) {
  tensors_.push_back(readable(tensor));
  summary_place_.push_back(summarize ? marked_++ : none);
  return tensors_.size() - 1;
}

void Reading::run() {
  digest_all();
  if (marked_ != 0) summarize_marked();
}

// Work on a device is ordered first, so that it runs while the host digests what is its own.
void Reading::digest_all() {
  digests_.resize(tensors_.size());
  std::vector<Buffer> buffers;
  std::vector<std::size_t> host, device;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (!tensors_[i].device().is_cpu()) {
      device.push_back(i);
      continue;
    }
    host.push_back(i);
    buffers.push_back(buffer_of(tensors_[i]));
  }
  DeviceDigests on_device(tensors_, device);
  std::vector<Digest> digests(buffers.size());
  samestep::digest(buffers, digests, torch_parallel());
  for (std::size_t i = 0; i < host.size(); ++i) digests_[host[i]] = digests[i];
  on_device.finish(digests_);
}

void Reading::summarize_marked() {
  std::vector<at::Tensor> marked;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (summary_place_[i] != none) marked.push_back(tensors_[i]);
  }
  std::vector<TypedBuffer> buffers;
  std::vector<std::size_t> host, device;
  for (std::size_t i = 0; i < marked.size(); ++i) {
    if (!marked[i].device().is_cpu()) {
      device.push_back(i);
      continue;
    }
    host.push_back(i);
    buffers.push_back(typed_buffer_of(marked[i]));
  }
  summaries_.resize(marked_);
  DeviceSummaries on_device(marked, device);
  std::vector<Summary> summaries(buffers.size());
  summarize(buffers, summaries, torch_parallel());
  for (std::size_t i = 0; i < host.size(); ++i) summaries_[host[i]] = summaries[i];
  on_device.finish(summaries_);
}

ListItem Reading::item(std::size_t place) const {
  return {dtype_of(tensors_[place]), shape_of(tensors_[place]), digests_[place]};
}

Summary Reading::summary(std::size_t place) const {
  return summary_place_[place] == none ? Summary{} : summaries_[summary_place_[place]];
}

}  // namespace samestep::capture
