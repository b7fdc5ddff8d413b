#include "replay/trainers/text.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <vector>

namespace samestep::trainers {
namespace {

constexpr std::size_t shortest_text = 1000;

std::vector<std::uint8_t> read_bytes(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read the text " + file);
  std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (bytes.size() < shortest_text) {
    throw std::runtime_error(
        c10::str("the text ", file, " has ", bytes.size(), " bytes, at least ", shortest_text, " are needed"));
  }
  return bytes;
}

// Replaces each byte by its rank among the bytes that occur; returns how many there are.
std::int64_t to_indices(std::vector<std::uint8_t>& bytes) {
  std::array<bool, 256> occurs{};
  for (std::uint8_t byte : bytes) occurs[byte] = true;
  std::array<std::uint8_t, 256> index{};
  std::int64_t count = 0;
  for (std::size_t byte = 0; byte < occurs.size(); ++byte) {
    if (occurs[byte]) index[byte] = static_cast<std::uint8_t>(count++);
  }
  std::transform(bytes.begin(), bytes.end(), bytes.begin(), [&](std::uint8_t byte) { return index[byte]; });
  return count;
}

// The windows that begin at `starts`, and the windows one character on.
Batch cut(const at::Tensor& characters, const at::Tensor& starts, std::int64_t block) {
  const at::Tensor places = starts.unsqueeze(1) + torch::arange(block).unsqueeze(0);
  return {characters.index({places}).to(torch::kLong), characters.index({places + 1}).to(torch::kLong)};
}

}  // namespace

Text read_text(const std::string& file) {
  std::vector<std::uint8_t> bytes = read_bytes(file);
  Text text;
  text.vocabulary = to_indices(bytes);
  const auto length = static_cast<std::int64_t>(bytes.size());
  const at::Tensor all = torch::from_blob(bytes.data(), {length}, torch::kByte).clone();
  text.training = all.slice(0, 0, length * 9 / 10);
  text.validation = all.slice(0, length * 9 / 10);
  return text;
}

Windows::Windows(at::Tensor characters, std::int64_t batch, std::int64_t block, std::uint64_t seed)
    : characters_(std::move(characters)),
      batch_(batch),
      block_(block),
      generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {
  if (characters_.size(0) <= block_ + 1) throw std::runtime_error("the text is shorter than one sequence (--block)");
}

Batch Windows::next() {
  return cut(characters_, torch::randint(characters_.size(0) - block_, {batch_}, generator_, torch::kLong), block_);
}

at::Tensor Windows::state() const {
  return generator_.get_state();
}

void Windows::restore(const at::Tensor& state) {
  generator_.set_state(state);
}

Batch spread_windows(const at::Tensor& characters, std::int64_t batch, std::int64_t block, std::int64_t index,
                     std::int64_t count) {
  const std::int64_t room = characters.size(0) - block - 1;
  if (room < 0) throw std::runtime_error("the validation text is shorter than one sequence (--block)");
  const at::Tensor ordinal = torch::arange(batch) + index * batch;
  return cut(characters, (ordinal * room).div(count * batch, "floor"), block);
}

}  // namespace samestep::trainers
