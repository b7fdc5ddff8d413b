// How fast statistics, sketch and syndrome of a step's tensors are computed, all in one pass, beside a plain sum of
// squares and a copy of the same bytes. Bits first.
//   summary_benchmark [--quick]
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "benchmarks/kernels/workload.h"
#include "kernels/summary.h"

using namespace samestep;
using namespace samestep::benchmarks;

namespace {

constexpr Backend backends[] = {Backend::scalar, Backend::avx2, Backend::avx512};

std::vector<TypedBuffer> typed(const std::vector<Buffer>& buffers, DType dtype) {
  std::vector<TypedBuffer> result;
  for (const Buffer& buffer : buffers) result.push_back({buffer.data, buffer.size / element_size(dtype), dtype});
  return result;
}

std::vector<Summary> summaries_of(const std::vector<TypedBuffer>& tensors, const ParallelFor& loop, Backend backend) {
  std::vector<Summary> summaries(tensors.size());
  summarize(tensors, summaries, loop, backend);
  return summaries;
}

void check_bits(const std::vector<TypedBuffer>& tensors, Threads& two) {
  const std::vector<Summary> expected = summaries_of(tensors, serial(), Backend::scalar);
  for (const Backend backend : backends) {
    if (!available(backend)) continue;
    for (const ParallelFor& loop : {serial(), two.parallel_for()}) {
      const std::vector<Summary> found = summaries_of(tensors, loop, backend);
      if (std::memcmp(found.data(), expected.data(), found.size() * sizeof(Summary)) == 0) continue;
      std::printf("WRONG BITS: %s\n", std::string(name(backend)).c_str());
      std::exit(1);
    }
  }
}

// What one would write without asking for equal bits.
double sum_of_squares(const std::vector<TypedBuffer>& tensors) {
  double total = 0;
  for (const TypedBuffer& tensor : tensors)
    for (std::size_t i = 0; i < tensor.elements; ++i) {
      const double x = static_cast<const float*>(tensor.data)[i];
      total += x * x;
    }
  return total;
}

void run(const TrainingStep& step, DType dtype, int rounds, Threads& two) {
  const std::vector<TypedBuffer> tensors = typed(step.buffers(), dtype);
  check_bits(tensors, two);
  std::vector<Contender> contenders;
  for (const Backend backend : backends) {
    if (!available(backend)) continue;
    contenders.push_back({std::string(name(backend)) + ", 1 thread", [&, backend] { summaries_of(tensors, serial(), backend); }, {}});
    contenders.push_back({std::string(name(backend)) + ", 2 threads",
                          [&, backend] { summaries_of(tensors, two.parallel_for(), backend); }, {}});
  }
  volatile double sink = 0;
  if (dtype == DType::f32) contenders.push_back({"sum of squares", [&] { sink = sum_of_squares(tensors); }, {}});
  std::vector<char> copy(step.bytes());
  contenders.push_back({"memcpy", [&] {
                          std::size_t done = 0;
                          for (const Buffer& buffer : step.buffers()) {
                            std::memcpy(copy.data() + done, buffer.data, buffer.size);
                            done += buffer.size;
                          }
                        }, {}});
  time_all(contenders, rounds);
  std::printf("\n%zu tensors, %.1f MB as %s\n%-22s %10s %10s %10s %10s\n", tensors.size(),
              static_cast<double>(step.bytes()) / 1e6, std::string(name(dtype)).c_str(), "", "best ms", "median ms", "GB/s",
              "x memcpy");
  for (const Contender& contender : contenders)
    std::printf("%-22s %10.3f %10.3f %10.2f %10.2f\n", contender.name.c_str(), 1e3 * contender.best(),
                1e3 * contender.median(), static_cast<double>(step.bytes()) / contender.best() / 1e9,
                contender.best() / contenders.back().best());
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
  Threads two(2);
  const TrainingStep step;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16, DType::f8_e4m3, DType::i64})
    run(step, dtype, quick ? 3 : 21, two);
}
