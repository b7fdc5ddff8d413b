// Summaries against a second implementation that follows kernels/summary/tree.h literally, on every backend.
#include "kernels/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "tests/kernels/loops.h"

namespace samestep {
namespace {

constexpr DType all_dtypes[] = {DType::boolean, DType::u8,  DType::i8,   DType::i16, DType::u16,     DType::i32,
                                DType::u32,     DType::i64, DType::u64,  DType::f16, DType::bf16,    DType::f32,
                                DType::f64,     DType::c64, DType::c128, DType::f8_e4m3, DType::f8_e5m2};

using Bytes = std::vector<std::uint8_t>;

template <class T>
T read(const Bytes& bytes, std::size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
  return value;
}

// ---- the second implementation ----

// A small float from its fields: sign, exponent bits, fraction bits.
double small_float(unsigned bits, int exponent_bits, int fraction_bits, bool has_infinity) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const int fraction = static_cast<int>(bits) & ((1 << fraction_bits) - 1);
  const bool negative = bits >> (exponent_bits + fraction_bits) & 1;
  const bool special = exponent == (1 << exponent_bits) - 1;
  if (special && (has_infinity || fraction == (1 << fraction_bits) - 1)) return NAN;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, 1 - bias - fraction_bits)
                                         : std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
  return negative ? -magnitude : magnitude;
}

double real_at(const Bytes& bytes, DType dtype, std::size_t i) {
  switch (dtype) {
    case DType::boolean: case DType::u8: return bytes[i];
    case DType::i8: return read<std::int8_t>(bytes, i);
    case DType::i16: return read<std::int16_t>(bytes, i);
    case DType::u16: return read<std::uint16_t>(bytes, i);
    case DType::i32: return read<std::int32_t>(bytes, i);
    case DType::u32: return read<std::uint32_t>(bytes, i);
    case DType::i64: return static_cast<double>(read<std::int64_t>(bytes, i));
    case DType::u64: return static_cast<double>(read<std::uint64_t>(bytes, i));
    case DType::f16: return small_float(read<std::uint16_t>(bytes, i), 5, 10, true);
    case DType::bf16: return small_float(read<std::uint16_t>(bytes, i), 8, 7, true);
    case DType::f32: case DType::c64: return read<float>(bytes, i);
    case DType::f64: case DType::c128: return read<double>(bytes, i);
    case DType::f8_e4m3: return small_float(bytes[i], 4, 3, false);
    case DType::f8_e5m2: return small_float(bytes[i], 5, 2, true);
  }
  return 0;
}

std::uint64_t splitmix64(std::uint64_t index) {
  std::uint64_t z = (index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// sum, square, buckets: ten numbers that are added along the same tree.
using Sums = std::array<double, 10>;

Sums block_sums(const std::vector<double>& y, std::size_t block) {
  std::array<std::array<double, 32>, 3> v{};
  for (std::size_t g = 128 * block; g < 128 * (block + 1); ++g) {
    const std::uint64_t w = splitmix64(g);
    for (std::size_t l = 0; l < 32; ++l) {
      v[0][l] += y[32 * g + l];
      v[1][l] += y[32 * g + l] * y[32 * g + l];
      const std::size_t q = l / 8, b = l % 8, from = 8 * q + (b ^ (w >> (32 + 3 * q) & 7));
      v[2][l] += (w >> from & 1) ? -y[32 * g + from] : y[32 * g + from];
    }
  }
  for (std::size_t half = 16; half > 0; half /= 2)
    for (std::size_t l = 0; l < half; ++l)
      for (std::size_t kind = 0; kind < (half >= 8 ? 3u : 2u); ++kind) v[kind][l] += v[kind][l + half];
  Sums sums = {v[0][0], v[1][0]};
  std::copy_n(v[2].begin(), 8, sums.begin() + 2);
  return sums;
}

Sums pairwise(std::vector<Sums> level) {
  while (level.size() > 1) {
    std::vector<Sums> next;
    for (std::size_t i = 0; i < level.size(); i += 2) {
      next.push_back(level[i]);
      for (std::size_t k = 0; k < 10 && i + 1 < level.size(); ++k) next.back()[k] += level[i + 1][k];
    }
    level = next;
  }
  return level.empty() ? Sums{} : level[0];
}

Syndrome syndrome_of(const Bytes& bytes, std::size_t element_bytes) {
  constexpr unsigned __int128 p = (std::uint64_t{1} << 61) - 1;
  const std::size_t width = std::min<std::size_t>(element_bytes, 4);
  unsigned __int128 sum = 0, weighted = 0;
  for (std::size_t i = 0; i < bytes.size() / width; ++i) {
    std::uint64_t unit = 0;
    std::memcpy(&unit, bytes.data() + i * width, width);
    sum = (sum + unit) % p;
    weighted = (weighted + unit * static_cast<unsigned __int128>(i)) % p;
  }
  return {static_cast<std::uint64_t>(sum), static_cast<std::uint64_t>(weighted)};
}

Summary reference(const Bytes& bytes, DType dtype) {
  const std::size_t parts = dtype == DType::c64 || dtype == DType::c128 ? 2 : 1;
  const std::size_t count = bytes.size() / element_size(dtype) * parts, blocks = (count + 4095) / 4096;
  std::vector<double> y(blocks * 4096);
  Summary summary;
  for (std::size_t i = 0; i < count; ++i) {
    const double x = real_at(bytes, dtype, i);
    if (!std::isfinite(x)) ++summary.statistics.nonfinite;
    y[i] = std::isfinite(x) ? x : 0;
    summary.statistics.max_abs = std::max(summary.statistics.max_abs, std::abs(y[i]));
  }
  std::vector<Sums> level;
  for (std::size_t block = 0; block < blocks; ++block) level.push_back(block_sums(y, block));
  const Sums total = pairwise(level);
  const double finite = static_cast<double>(count - summary.statistics.nonfinite);
  summary.statistics.mean = finite > 0 ? total[0] / finite : 0;
  summary.statistics.norm = std::sqrt(total[1]);
  std::copy_n(total.begin() + 2, 8, summary.sketch.p.begin());
  for (const std::size_t h : {1u, 2u, 4u})
    for (std::size_t k = 0; k < 8; ++k)
      if (!(k & h)) {
        const double a = summary.sketch.p[k], b = summary.sketch.p[k + h];
        summary.sketch.p[k] = a + b;
        summary.sketch.p[k + h] = a - b;
      }
  summary.syndrome = syndrome_of(bytes, element_size(dtype));
  return summary;
}

// ---- tests ----

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 32);
  return bytes;
}

TypedBuffer typed(const Bytes& bytes, DType dtype) { return {bytes.data(), bytes.size() / element_size(dtype), dtype}; }

Summary summary_of(const TypedBuffer& tensor, const ParallelFor& loop = serial(), Backend backend = best_backend()) {
  Summary summary;
  summarize(std::span(&tensor, 1), std::span(&summary, 1), loop, backend);
  return summary;
}

std::uint64_t bits(double x) { return std::bit_cast<std::uint64_t>(x); }

void expect_same_bits(const Summary& a, const Summary& b) {
  EXPECT_EQ(bits(a.statistics.norm), bits(b.statistics.norm));
  EXPECT_EQ(bits(a.statistics.max_abs), bits(b.statistics.max_abs));
  EXPECT_EQ(bits(a.statistics.mean), bits(b.statistics.mean));
  EXPECT_EQ(a.statistics.nonfinite, b.statistics.nonfinite);
  for (std::size_t k = 0; k < Sketch::size; ++k) EXPECT_EQ(bits(a.sketch.p[k]), bits(b.sketch.p[k])) << "p[" << k << "]";
  EXPECT_EQ(a.syndrome, b.syndrome);
}

class SummaryOn : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    if (!available(GetParam())) GTEST_SKIP() << "this processor has no " << name(GetParam());
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, SummaryOn, testing::Values(Backend::scalar, Backend::avx2, Backend::avx512),
                         [](const auto& instance) { return std::string(name(instance.param)); });

TEST_P(SummaryOn, EqualsTheSecondImplementationForEveryTypeAndEdge) {
  for (const DType dtype : all_dtypes)
    for (const std::size_t elements : {0, 1, 7, 8, 31, 32, 33, 511, 512, 513, 4095, 4096, 4097, 12289, 70001}) {
      SCOPED_TRACE(testing::Message() << name(dtype) << " x " << elements);
      const Bytes bytes = random_bytes(elements * element_size(dtype), elements);
      expect_same_bits(summary_of(typed(bytes, dtype), serial(), GetParam()), reference(bytes, dtype));
    }
}

TEST_P(SummaryOn, ConvertsEveryShortFloatExactly) {
  for (const DType dtype : {DType::f16, DType::bf16, DType::f8_e4m3, DType::f8_e5m2}) {
    const std::size_t width = element_size(dtype), values = std::size_t{1} << (8 * width);
    for (std::size_t value = 0; value < values; ++value) {
      Bytes bytes(width);
      std::memcpy(bytes.data(), &value, width);
      const double expected = real_at(bytes, dtype, 0);
      const Statistics found = summary_of(typed(bytes, dtype), serial(), GetParam()).statistics;
      ASSERT_EQ(found.nonfinite, std::isfinite(expected) ? 0u : 1u) << name(dtype) << " " << value;
      ASSERT_EQ(found.mean, std::isfinite(expected) ? expected : 0) << name(dtype) << " " << value;
    }
  }
}

// Big enough for several pieces of 64 blocks, with one that is not whole.
TEST_P(SummaryOn, DoesNotDependOnThreads) {
  const Bytes bytes = random_bytes(4 * (4096 * 64 * 5 + 4096 * 3 + 17), 3);
  const Bytes small = random_bytes(2 * 1000, 4);
  const std::vector<TypedBuffer> tensors = {typed(small, DType::bf16), typed(bytes, DType::f32),
                                            typed(small, DType::i16), typed(bytes, DType::f8_e4m3)};
  const Summary expected[] = {reference(small, DType::bf16), reference(bytes, DType::f32), reference(small, DType::i16),
                              reference(bytes, DType::f8_e4m3)};
  for (const auto& [loop_name, loop] : loops()) {
    SCOPED_TRACE(loop_name);
    std::vector<Summary> summaries(tensors.size());
    summarize(tensors, summaries, loop, GetParam());
    for (std::size_t i = 0; i < tensors.size(); ++i) expect_same_bits(summaries[i], expected[i]);
  }
}

TEST_P(SummaryOn, CountsNonFiniteElementsAndLeavesThemOut) {
  std::vector<float> x(5000, 2.0f);
  x[0] = INFINITY;
  x[31] = -INFINITY;
  x[4999] = NAN;
  const Summary summary = summary_of({x.data(), x.size(), DType::f32}, serial(), GetParam());
  EXPECT_EQ(summary.statistics.nonfinite, 3u);
  EXPECT_EQ(summary.statistics.mean, 2.0);
  EXPECT_EQ(summary.statistics.max_abs, 2.0);
  EXPECT_EQ(summary.statistics.norm, std::sqrt(4.0 * 4997));
}

// Sets the modes that torch.set_flush_denormal(True) and the like leave on the threads that call us.
class OtherFloatingPointModes {
 public:
  OtherFloatingPointModes() {
    std::fegetenv(&saved_);
    std::fesetround(FE_UPWARD);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | flushing);
#endif
  }
  ~OtherFloatingPointModes() { std::fesetenv(&saved_); }
  static bool still_set() {
#if defined(__x86_64__)
    if ((_mm_getcsr() & flushing) != flushing) return false;
#endif
    return std::fegetround() == FE_UPWARD;
  }

 private:
  static constexpr unsigned flushing = 0x8040;  // flush to zero, denormals are zero
  std::fenv_t saved_;
};

TEST_P(SummaryOn, IgnoresAndRestoresTheCallersFloatingPointModes) {
  const std::vector<float> subnormal(100, std::numeric_limits<float>::denorm_min()), third(100, 1.0f / 3);
  for (const std::vector<float>* x : {&subnormal, &third}) {
    const TypedBuffer tensor{x->data(), x->size(), DType::f32};
    const Summary expected = summary_of(tensor, serial(), GetParam());
    EXPECT_GT(expected.statistics.mean, 0);
    Summary found;
    bool restored;
    {
      const OtherFloatingPointModes modes;
      found = summary_of(tensor, serial(), GetParam());
      restored = OtherFloatingPointModes::still_set();
    }
    EXPECT_TRUE(restored);
    expect_same_bits(found, expected);
  }
}

TEST(Sketch, EstimatesTheDistanceOfTwoTensors) {
  double error = 0;
  constexpr int rounds = 60;
  for (int round = 0; round < rounds; ++round) {
    std::mt19937_64 random(static_cast<std::uint64_t>(round));
    std::normal_distribution<float> normal;
    std::vector<float> a(9000), b(9000);
    double square = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = normal(random);
      b[i] = a[i] + (i % 128 == 5 ? normal(random) : 0);  // one column of a matrix changed
      square += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    }
    const double estimate = estimated_distance(summary_of({a.data(), a.size(), DType::f32}).sketch,
                                               summary_of({b.data(), b.size(), DType::f32}).sketch);
    error += std::pow(estimate * estimate / square - 1, 2);
  }
  const double relative = std::sqrt(error / rounds);
  EXPECT_LT(relative, 0.5 * 1.35) << "sqrt(2 / 8) is promised";
  EXPECT_GT(relative, 0.5 / 1.6) << "suspiciously good";
}

TEST(Sketch, SeesSwappedElementsAndSignFlips) {
  std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const Sketch original = summary_of({x.data(), x.size(), DType::f32}).sketch;
  std::vector<float> swapped = {2, 1, 3, 4, 5, 6, 7, 8, 9}, flipped = {-1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_NE(original, summary_of({swapped.data(), x.size(), DType::f32}).sketch);
  EXPECT_NE(original, summary_of({flipped.data(), x.size(), DType::f32}).sketch);
}

TEST(Syndrome, NamesTheOneEditedElement) {
  std::mt19937_64 random(9);
  for (const DType dtype : all_dtypes) {
    Bytes bytes = random_bytes(30000 * element_size(dtype), 5);
    const Syndrome recorded = summary_of(typed(bytes, dtype)).syndrome;
    EXPECT_EQ(propose_edit(typed(bytes, dtype), recorded), std::nullopt) << "nothing was edited";
    const std::size_t width = std::min<std::size_t>(element_size(dtype), 4), unit = random() % (bytes.size() / width);
    std::uint64_t original = 0, edited = 0;
    std::memcpy(&original, bytes.data() + unit * width, width);
    bytes[unit * width + width - 1] ^= 0x40;
    std::memcpy(&edited, bytes.data() + unit * width, width);
    const auto edit = propose_edit(typed(bytes, dtype), recorded);
    ASSERT_TRUE(edit) << name(dtype);
    EXPECT_EQ(edit->unit, unit) << name(dtype);
    EXPECT_EQ(edit->found, edited) << name(dtype);
    EXPECT_EQ(edit->expected, original) << name(dtype);
  }
}

TEST(Syndrome, ProposesNothingWhereTwoElementsWereEdited) {
  Bytes bytes = random_bytes(40000, 6);
  const Syndrome recorded = summary_of(typed(bytes, DType::f32)).syndrome;
  bytes[400] ^= 0x11;
  bytes[30001] ^= 0x28;
  EXPECT_EQ(propose_edit(typed(bytes, DType::f32), recorded), std::nullopt);
}

TEST(Syndrome, OfAllOnesIsExact) {
  const Bytes bytes(std::size_t{8} << 20, 0xFF);
  EXPECT_EQ(summary_of(typed(bytes, DType::i64)).syndrome, syndrome_of(bytes, 8));
}

}  // namespace
}  // namespace samestep
