// How far a random operator moves LibTorch's CPU generator, so that one whose numbers nobody uses need not be run: the
// generator is moved alone, several times faster than numbers are drawn, compared and written.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>

namespace samestep::capture {

// The default CPU generator as it stands.
class GeneratorMark {
 public:
  GeneratorMark();
  // How many 32-bit words were drawn since, where that is one of the numbers that an operator over `elements` draws:
  // none, one or two in all, one or two an element. nullopt where it is another, or a cached normal was left or used.
  [[nodiscard]] std::optional<std::uint64_t> words_since(std::uint64_t elements) const;

 private:
  at::mt19937_data_pod data_;
  std::optional<float> normal_;
  std::optional<double> double_normal_;
};

// The state of Mersenne Twister MT19937 (Matsumoto and Nishimura 1998) `words` draws later.
void advance(at::mt19937_data_pod& data, std::uint64_t words);
// Moves the default CPU generator on as if `words` had been drawn.
void advance_generator(std::uint64_t words);

}  // namespace samestep::capture
