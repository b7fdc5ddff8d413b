// The shapes of an operator's results, by its arguments: asked of the operator itself once, then remembered.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace samestep::capture {

// What an operator's arguments are to the shapes of its results: dtypes, sizes and strides of tensors, values of
// numbers, lists and strings.
using ArgumentKey = std::vector<std::uint64_t>;
// nullopt where an argument is of a kind that is not told apart (a generator, a sparse tensor).
[[nodiscard]] std::optional<ArgumentKey> key_of(std::span<const c10::IValue> arguments);

// One result: a tensor's shape, an undefined tensor, a list of them, or a value that is no tensor.
class ResultShape {
 public:
  // nullopt where the result is not plain host memory.
  [[nodiscard]] static std::optional<ResultShape> of(const c10::IValue& result);
  // A stale result of this shape.
  [[nodiscard]] c10::IValue answer() const;

 private:
  struct Dense {
    std::vector<std::int64_t> sizes, strides;
    at::ScalarType type = at::kFloat;
    bool defined = true;
    [[nodiscard]] at::Tensor make() const;
  };
  [[nodiscard]] static std::optional<Dense> dense(const at::Tensor& tensor);
  std::vector<Dense> tensors_;
  bool list_ = false;
  std::optional<c10::IValue> value_;
};

// Of one operator.
class Answers {
 public:
  [[nodiscard]] const std::vector<ResultShape>* find(const ArgumentKey& key) const;
  void remember(const ArgumentKey& key, std::span<const c10::IValue> results);

 private:
  static constexpr std::size_t most = 10'000;  // shapes; a program that makes ever new ones is asked anew each time
  struct Hash {
    std::size_t operator()(const ArgumentKey& key) const;
  };
  std::unordered_map<ArgumentKey, std::vector<ResultShape>, Hash> known_;
};

}  // namespace samestep::capture
