#include "replay/trainers/digits.h"

#include <ATen/CPUGeneratorImpl.h>

#include <charconv>
#include <fstream>
#include <stdexcept>
#include <string_view>

namespace samestep::trainers {
namespace {

constexpr std::int64_t side = 8;
constexpr std::int64_t pixels = side * side;
constexpr std::int64_t validation_every = 6;

// Appends the numbers of one line; false where they are not 64 pixels and a digit.
bool read_line(std::string_view line, std::vector<float>& values) {
  const std::size_t before = values.size();
  const char* at = line.data();
  const char* const end = at + line.size();
  while (at < end) {
    int value = 0;
    const auto [rest, failed] = std::from_chars(at, end, value);
    if (failed != std::errc{} || value < 0 || value > 16 || (rest < end && *rest != ',')) return false;
    values.push_back(static_cast<float>(value));
    at = rest + 1;
  }
  return values.size() == before + pixels + 1 && values.back() <= 9;
}

at::Tensor read_table(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error("cannot read the digits " + file);
  std::vector<float> values;
  std::int64_t lines = 0;
  for (std::string line; std::getline(in, line);) {
    ++lines;
    if (!read_line(line, values)) {
      throw std::runtime_error(c10::str(file, ":", lines, ": expected 64 pixels (0 to 16) and a digit"));
    }
  }
  return torch::tensor(values).view({lines, pixels + 1});
}

LabelledImages images_of(const at::Tensor& rows) {
  return {rows.slice(1, 0, pixels).div(16).view({-1, 1, side, side}), rows.select(1, pixels).to(torch::kLong)};
}

}  // namespace

Digits read_digits(const std::string& file) {
  const at::Tensor table = read_table(file);
  const at::Tensor kept = torch::arange(table.size(0)).remainder(validation_every) == 0;
  return {images_of(table.index({~kept})), images_of(table.index({kept}))};
}

Shuffled::Shuffled(LabelledImages data, std::int64_t batch, std::uint64_t seed)
    : data_(std::move(data)), batch_(batch), generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {
  if (data_.labels.size(0) < batch_) {
    throw std::runtime_error(c10::str(data_.labels.size(0), " training images do not make a batch of ", batch_));
  }
  shuffle();
}

std::pair<at::Tensor, at::Tensor> Shuffled::next() {
  if (position_ + batch_ > order_.size(0)) shuffle();
  const at::Tensor chosen = order_.slice(0, position_, position_ + batch_);
  position_ += batch_;
  return {data_.images.index({chosen}), data_.labels.index({chosen})};
}

std::vector<at::Tensor> Shuffled::state() const {
  return {order_.clone(), torch::tensor(position_), generator_.get_state()};
}

void Shuffled::restore(const std::vector<at::Tensor>& state) {
  order_ = state.at(0).clone();
  position_ = state.at(1).item<std::int64_t>();
  generator_.set_state(state.at(2));
}

void Shuffled::shuffle() {
  order_ = torch::randperm(data_.labels.size(0), generator_, torch::kLong);
  position_ = 0;
}

}  // namespace samestep::trainers
