// What the kernel benchmarks run on, and how they time it.
#pragma once

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kernels/digest.h"
#include "kernels/parallel.h"

namespace samestep::benchmarks {

// Threads that wait for work, as a training program's do; the caller is one of them.
class Threads {
 public:
  explicit Threads(std::size_t count) : count_(count), gate_(static_cast<std::ptrdiff_t>(count)) {
    for (std::size_t i = 1; i < count; ++i) threads_.emplace_back([this, i] { work(i); });
  }
  ~Threads() {
    body_ = nullptr;
    gate_.arrive_and_wait();
  }
  [[nodiscard]] ParallelFor parallel_for() {
    return {[this](std::size_t items, const ParallelFor::Body& body) { run(items, body); }, count_};
  }

 private:
  void run(std::size_t items, const ParallelFor::Body& body) {
    items_ = items;
    body_ = &body;
    gate_.arrive_and_wait();
    share(0);
    gate_.arrive_and_wait();
  }
  void share(std::size_t i) const {
    const std::size_t begin = items_ * i / count_, end = items_ * (i + 1) / count_;
    if (begin < end) (*body_)(begin, end);
  }
  void work(std::size_t i) {
    for (;;) {
      gate_.arrive_and_wait();
      if (!body_) return;
      share(i);
      gate_.arrive_and_wait();
    }
  }

  std::size_t count_, items_ = 0;
  const ParallelFor::Body* body_ = nullptr;
  std::barrier<> gate_;
  std::vector<std::jthread> threads_;
};

// Elements of the parameters of a character-level GPT: 4 layers of width 128, 65 characters, context 64; 52 tensors,
// 0.81 M elements.
inline std::vector<std::size_t> gpt_parameters() {
  std::vector<std::size_t> sizes = {65 * 128, 64 * 128};
  for (int layer = 0; layer < 4; ++layer)
    sizes.insert(sizes.end(), {128, 128, 384 * 128, 384, 128 * 128, 128, 128, 128, 512 * 128, 512, 128 * 512, 128});
  sizes.insert(sizes.end(), {128, 128});
  return sizes;
}

// Tensors of one training step, each in memory of its own as an allocator would leave them: weights, gradients, both
// moments and step counts of AdamW, inputs and targets; 262 tensors, 13 MB of floats.
class TrainingStep {
 public:
  TrainingStep() {
    for (int kind = 0; kind < 4; ++kind)
      for (const std::size_t elements : gpt_parameters()) add(elements);
    for (std::size_t i = 0; i < gpt_parameters().size(); ++i) add(1);
    add(2 * 12 * 64);  // of 64 bits
    add(2 * 12 * 64);
  }
  [[nodiscard]] std::vector<Buffer> buffers() const {
    std::vector<Buffer> result;
    for (const auto& tensor : tensors_) result.push_back({tensor.data(), tensor.size() * sizeof(float)});
    return result;
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t total = 0;
    for (const auto& tensor : tensors_) total += tensor.size() * sizeof(float);
    return total;
  }

 private:
  void add(std::size_t elements) {
    std::normal_distribution<float> normal;
    std::vector<float>& tensor = tensors_.emplace_back(elements);
    for (float& x : tensor) x = normal(random_);
  }

  std::mt19937 random_{1};
  std::vector<std::vector<float>> tensors_;
};

// Something that is timed: run() does the work once.
struct Contender {
  std::string name;
  std::function<void()> run;
  std::vector<double> seconds;

  [[nodiscard]] double best() const { return *std::min_element(seconds.begin(), seconds.end()); }
  [[nodiscard]] double median() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

inline double seconds_of(const std::function<void()>& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Rounds in which every contender runs once, so that what disturbs the machine disturbs all of them.
inline void time_all(std::vector<Contender>& contenders, int rounds) {
  for (Contender& contender : contenders) contender.run();
  for (int round = 0; round < rounds; ++round)
    for (Contender& contender : contenders) contender.seconds.push_back(seconds_of(contender.run));
}

}  // namespace samestep::benchmarks
