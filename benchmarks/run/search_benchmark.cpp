// What finding the first divergent step of two runs costs: opening both, a binary search on their chains, and the two
// records found, read and checked.   search_benchmark A B
// Bits first: the step before must have equal chains. Prints the reads and the time beside what reading every chain
// would take, estimated from a thousand in a row.
#include <chrono>
#include <cstdio>

#include "replay/run/error.h"
#include "replay/run/run_reader.h"

namespace {

using namespace samestep;
using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

struct Found {
  std::uint64_t step = 0, reads = 0;
};

Found first_difference(const RunReader& a, const RunReader& b) {
  std::uint64_t begin = a.first_step(), end = std::min(a.end_step(), b.end_step());
  Found found;
  while (begin < end) {
    const std::uint64_t middle = begin + (end - begin) / 2;
    found.reads += 2;
    if (a.chain(middle) == b.chain(middle))
      begin = middle + 1;
    else
      end = middle;
  }
  found.step = begin;
  return found;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  const auto start = Clock::now();
  const RunReader a(argv[1]), b(argv[2]);
  const auto opened = Clock::now();
  const Found found = first_difference(a, b);
  const auto searched = Clock::now();
  if (found.step == std::min(a.end_step(), b.end_step()) || found.step == 0) return 1;
  const bool parted = a.record(found.step).root != b.record(found.step).root;
  const auto read = Clock::now();
  if (!parted || a.chain(found.step - 1) != b.chain(found.step - 1)) return 1;
  const auto row = Clock::now();
  const std::uint64_t some = std::min<std::uint64_t>(1000, a.end_step());
  for (std::uint64_t step = 0; step < some; ++step) static_cast<void>(a.chain(step));
  const double one = milliseconds(Clock::now() - row) / static_cast<double>(some);
  std::printf("step %llu of %llu: open %.2f ms, search %.2f ms (%llu reads), two records %.2f ms, all %.2f ms\n",
              static_cast<unsigned long long>(found.step), static_cast<unsigned long long>(a.end_step()),
              milliseconds(opened - start), milliseconds(searched - opened),
              static_cast<unsigned long long>(found.reads), milliseconds(read - searched), milliseconds(read - start));
  std::printf("every chain of both in turn: %.0f ms, ratio %.0f\n", 2 * one * static_cast<double>(a.end_step()),
              2 * one * static_cast<double>(a.end_step()) / milliseconds(searched - opened));
} catch (const samestep::BrokenInput& error) {
  std::fprintf(stderr, "search_benchmark: %s\n", error.what());
  return 2;
}
