#include "replay/capture/answers.h"

#include <bit>

#include "replay/capture/stale_memory.h"

namespace samestep::capture {
namespace {

enum class Part : std::uint64_t { none, tensor, undefined, number, integer, truth, text, integers, list, device };

class KeyWriter {
 public:
  [[nodiscard]] bool value(const c10::IValue& value) {
    if (value.isNone()) return part(Part::none);
    if (value.isTensor()) return tensor(value.toTensor());
    if (value.isDouble()) return part(Part::number, std::bit_cast<std::uint64_t>(value.toDouble()));
    if (value.isBool()) return part(Part::truth, value.toBool() ? 1 : 0);
    if (value.isInt()) return part(Part::integer, static_cast<std::uint64_t>(value.toInt()));
    if (value.isString()) return text(value.toStringRef());
    if (value.isIntList()) return integers(value.toIntVector());
    if (value.isDevice()) return part(Part::device, static_cast<std::uint64_t>(value.toDevice().type()));
    if (value.isScalar()) return scalar(value.toScalar());
    if (value.isList()) return list(value.toListRef());
    return false;
  }
  [[nodiscard]] ArgumentKey take() { return std::move(key_); }

 private:
  bool part(Part kind) {
    key_.push_back(static_cast<std::uint64_t>(kind));
    return true;
  }
  bool part(Part kind, std::uint64_t value) {
    key_.push_back(value);
    return part(kind);
  }
  bool scalar(const at::Scalar& number) {
    if (number.isComplex()) return false;
    return part(Part::number, std::bit_cast<std::uint64_t>(number.toDouble()));
  }
  bool text(const std::string& characters) {
    for (const char character : characters) key_.push_back(static_cast<unsigned char>(character));
    return part(Part::text, characters.size());
  }
  bool integers(const std::vector<std::int64_t>& numbers) {
    key_.insert(key_.end(), numbers.begin(), numbers.end());
    return part(Part::integers, numbers.size());
  }
  bool list(c10::ArrayRef<c10::IValue> items) {
    for (const auto& item : items) {
      if (!value(item)) return false;
    }
    return part(Part::list, items.size());
  }
  bool tensor(const at::Tensor& tensor) {
    if (!tensor.defined()) return part(Part::undefined);
    if (tensor.layout() != at::kStrided || !tensor.has_storage()) return false;
    const auto sizes = tensor.sizes(), strides = tensor.strides();
    key_.insert(key_.end(), sizes.begin(), sizes.end());
    key_.insert(key_.end(), strides.begin(), strides.end());
    key_.push_back(static_cast<std::uint64_t>(tensor.scalar_type()));
    key_.push_back(static_cast<std::uint64_t>(tensor.device().type()));
    return part(Part::tensor, sizes.size());
  }

  ArgumentKey key_;
};

}  // namespace

std::optional<ArgumentKey> key_of(std::span<const c10::IValue> arguments) {
  KeyWriter writer;
  for (const auto& argument : arguments) {
    if (!writer.value(argument)) return std::nullopt;
  }
  return writer.take();
}

at::Tensor ResultShape::Dense::make() const {
  return defined ? StaleMemory::make(sizes, strides, type) : at::Tensor();
}

std::optional<ResultShape::Dense> ResultShape::dense(const at::Tensor& tensor) {
  if (!tensor.defined()) return Dense{{}, {}, at::kFloat, false};
  const bool plain = tensor.layout() == at::kStrided && tensor.device().is_cpu() && tensor.has_storage() &&
                     !tensor.is_quantized() && !tensor.is_conj() && !tensor.is_neg();
  if (!plain) return std::nullopt;
  return Dense{tensor.sizes().vec(), tensor.strides().vec(), tensor.scalar_type(), true};
}

std::optional<ResultShape> ResultShape::of(const c10::IValue& result) {
  ResultShape shape;
  if (!result.isTensor() && !result.isTensorList()) {
    shape.value_ = result;
    return shape;
  }
  shape.list_ = result.isTensorList();
  for (const at::Tensor& tensor : shape.list_ ? result.toTensorVector() : std::vector{result.toTensor()}) {
    auto one = dense(tensor);
    if (!one) return std::nullopt;
    shape.tensors_.push_back(std::move(*one));
  }
  return shape;
}

c10::IValue ResultShape::answer() const {
  if (value_) return *value_;
  if (!list_) return tensors_.front().make();
  std::vector<at::Tensor> tensors;
  for (const auto& tensor : tensors_) tensors.push_back(tensor.make());
  return tensors;
}

std::size_t Answers::Hash::operator()(const ArgumentKey& key) const {
  std::uint64_t hash = key.size();
  for (const auto word : key) hash = (std::rotl(hash, 23) ^ word) * 0x9E3779B97F4A7C15;
  return hash;
}

const std::vector<ResultShape>* Answers::find(const ArgumentKey& key) const {
  const auto found = known_.find(key);
  return found == known_.end() ? nullptr : &found->second;
}

void Answers::remember(const ArgumentKey& key, std::span<const c10::IValue> results) {
  if (known_.size() >= most) return;
  std::vector<ResultShape> shapes;
  for (const auto& result : results) {
    auto shape = ResultShape::of(result);
    if (!shape) return;
    shapes.push_back(std::move(*shape));
  }
  known_.emplace(key, std::move(shapes));
}

}  // namespace samestep::capture
