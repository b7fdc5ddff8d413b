#include "replay/capture/drawing.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <array>
#include <mutex>

namespace samestep::capture {
namespace {

constexpr std::size_t size = at::MERSENNE_STATE_N, middle = at::MERSENNE_STATE_M;

at::CPUGeneratorImpl& generator() {
  return *at::check_generator<at::CPUGeneratorImpl>(at::detail::getDefaultCPUGenerator());
}

constexpr std::uint32_t twisted(std::uint32_t upper, std::uint32_t lower) {
  const std::uint32_t mixed = (upper & 0x80000000U) | (lower & 0x7fffffffU);
  return (mixed >> 1) ^ (-(lower & 1U) & 0x9908b0dfU);
}

// Each loop reads what is `middle` words off, so its iterations can be taken sixteen at a time.
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3"))) void next_block(std::uint32_t* p) {
#pragma GCC ivdep
  for (std::size_t j = 0; j < size - middle; ++j) p[j] = p[j + middle] ^ twisted(p[j], p[j + 1]);
#pragma GCC ivdep
  for (std::size_t j = size - middle; j < size - 1; ++j) p[j] = p[j - (size - middle)] ^ twisted(p[j], p[j + 1]);
  p[size - 1] = p[middle - 1] ^ twisted(p[size - 1], p[0]);
}

bool equal(const at::mt19937_data_pod& a, const at::mt19937_data_pod& b) {
  return a.seed_ == b.seed_ && a.left_ == b.left_ && a.seeded_ == b.seeded_ && a.next_ == b.next_ &&
         a.state_ == b.state_;
}

}  // namespace

// The engine counts its `left_` down first and makes a new block where that comes to zero.
void advance(at::mt19937_data_pod& data, std::uint64_t words) {
  while (words > 0) {
    const auto here = std::min<std::uint64_t>(words, static_cast<std::uint64_t>(data.left_ - 1));
    data.left_ -= static_cast<int>(here);
    data.next_ += static_cast<std::uint32_t>(here);
    words -= here;
    if (words == 0) return;
    next_block(data.state_.data());
    data.left_ = static_cast<int>(size);
    data.next_ = 1;
    --words;
  }
}

void advance_generator(std::uint64_t words) {
  auto& one = generator();
  const std::lock_guard<std::mutex> lock(one.mutex_);
  auto engine = one.engine();
  auto data = engine.data();
  advance(data, words);
  engine.set_data(data);
  one.set_engine(engine);
}

GeneratorMark::GeneratorMark()
    : data_(generator().engine().data()),
      normal_(generator().next_float_normal_sample()),
      double_normal_(generator().next_double_normal_sample()) {}

std::optional<std::uint64_t> GeneratorMark::words_since(std::uint64_t elements) const {
  const GeneratorMark now;
  if (now.normal_ != normal_ || now.double_normal_ != double_normal_) return std::nullopt;
  for (const std::uint64_t words : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, elements, 2 * elements}) {
    auto moved = data_;
    advance(moved, words);
    if (equal(moved, now.data_)) return words;
  }
  return std::nullopt;
}

}  // namespace samestep::capture
