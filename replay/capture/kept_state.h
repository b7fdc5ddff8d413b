// What Session::keep() can keep, as tensors and back. Part of the public API (installed beside session.h, which
// includes it).
#pragma once

#include <torch/torch.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace samestep::capture {

template <class T>
struct is_vector : std::false_type {};
template <class Element>
struct is_vector<std::vector<Element>> : std::true_type {};

// A tensor of bytes holding `size` bytes at `data`, and the reverse. `read_bytes` throws std::runtime_error where the
// sizes differ: the kept value had another type when it was recorded.
inline at::Tensor bytes_tensor(const void* data, std::size_t size) {
  auto tensor = at::empty({static_cast<std::int64_t>(size)}, at::kByte);
  if (size != 0) std::memcpy(tensor.mutable_data_ptr(), data, size);
  return tensor;
}
inline void read_bytes(const at::Tensor& tensor, void* data, std::size_t size) {
  if (tensor.nbytes() != size) {
    throw std::runtime_error("kept state: expected " + std::to_string(size) + " bytes, found " +
                             std::to_string(tensor.nbytes()));
  }
  const auto contiguous = tensor.contiguous();
  if (size != 0) std::memcpy(data, contiguous.const_data_ptr(), size);
}

// Types with a LibTorch element type of their own stay numbers that an anchor's reader can print.
template <class T>
inline constexpr bool has_element_type =
    std::is_same_v<T, bool> || std::is_same_v<T, std::uint8_t> || std::is_same_v<T, std::int8_t> ||
    std::is_same_v<T, std::int16_t> || std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::int64_t> ||
    std::is_same_v<T, float> || std::is_same_v<T, double>;

template <class T>
at::Tensor number_tensor(const T* values, std::vector<std::int64_t> shape) {
  auto tensor = at::empty(shape, c10::CppTypeToScalarType<T>::value);
  if (tensor.nbytes() != 0) std::memcpy(tensor.mutable_data_ptr(), values, tensor.nbytes());
  return tensor;
}

template <class T>
std::vector<at::Tensor> to_tensors(const T& value) {
  if constexpr (std::is_same_v<T, std::vector<at::Tensor>>) {
    return value;
  } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
    return to_tensors(std::vector<std::uint8_t>(value.begin(), value.end()));
  } else if constexpr (std::is_convertible_v<T, at::Tensor> && !std::is_arithmetic_v<T>) {
    return {value};
  } else if constexpr (std::is_same_v<T, std::string>) {
    return {bytes_tensor(value.data(), value.size())};
  } else if constexpr (is_vector<T>::value) {
    using Element = typename T::value_type;
    static_assert(std::is_trivially_copyable_v<Element>, "keep() takes vectors of numbers or of tensors");
    if constexpr (has_element_type<Element>) {
      return {number_tensor(value.data(), {static_cast<std::int64_t>(value.size())})};
    } else {
      return {bytes_tensor(value.data(), value.size() * sizeof(Element))};
    }
  } else {
    static_assert(std::is_trivially_copyable_v<T>,
                  "keep() takes numbers, strings, tensors, vectors of these, and "
                  "trivially copyable structs; convert anything else");
    if constexpr (has_element_type<T>) {
      return {number_tensor(&value, {})};
    } else {
      return {bytes_tensor(&value, sizeof value)};
    }
  }
}

template <class T>
T from_tensors(const std::vector<at::Tensor>& tensors) {
  if constexpr (std::is_same_v<T, std::vector<at::Tensor>>) {
    return tensors;
  } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
    const auto bytes = from_tensors<std::vector<std::uint8_t>>(tensors);
    return {bytes.begin(), bytes.end()};
  } else if constexpr (std::is_convertible_v<T, at::Tensor> && !std::is_arithmetic_v<T>) {
    return T(tensors.at(0));
  } else if constexpr (std::is_same_v<T, std::string>) {
    std::string text(tensors.at(0).nbytes(), '\0');
    read_bytes(tensors.at(0), text.data(), text.size());
    return text;
  } else if constexpr (is_vector<T>::value) {
    T values(tensors.at(0).nbytes() / sizeof(typename T::value_type));
    read_bytes(tensors.at(0), values.data(), values.size() * sizeof(typename T::value_type));
    return values;
  } else {
    T value;
    read_bytes(tensors.at(0), &value, sizeof value);
    return value;
  }
}

}  // namespace samestep::capture

namespace samestep {

template <class Get, class Set>
void Session::keep(const std::string& name, Get get, Set set) {
  using Value = std::decay_t<decltype(get())>;
  keep_tensors(
      name, [get = std::move(get)]() mutable { return capture::to_tensors<Value>(get()); },
      [set = std::move(set)](const KeptState& state) mutable { set(capture::from_tensors<Value>(state)); });
}

}  // namespace samestep
