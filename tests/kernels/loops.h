// Several ways to run a parallel loop that results must not depend on.
#pragma once

#include <algorithm>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/parallel.h"

namespace samestep {

// One call for every item, the last first.
inline ParallelFor backwards(std::size_t threads) {
  return {[](std::size_t count, const ParallelFor::Body& body) {
            for (std::size_t i = count; i-- > 0;) body(i, i + 1);
          },
          threads};
}

// Equal shares on that many threads at once.
inline ParallelFor threaded(std::size_t threads) {
  return {[threads](std::size_t count, const ParallelFor::Body& body) {
            std::vector<std::jthread> running;
            for (std::size_t t = 0; t < threads; ++t)
              running.emplace_back([&, t] {
                const std::size_t begin = count * t / threads, end = count * (t + 1) / threads;
                if (begin < end) body(begin, end);
              });
          },
          threads};
}

inline std::vector<std::pair<std::string, ParallelFor>> loops() {
  return {{"serial", serial()},          {"backwards, 1", backwards(1)}, {"backwards, 7", backwards(7)},
          {"2 threads", threaded(2)},    {"5 threads", threaded(5)},     {"backwards, 1000", backwards(1000)}};
}

}  // namespace samestep
