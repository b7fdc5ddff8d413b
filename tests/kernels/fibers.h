// Runs the source of a CUDA kernel on the host: one Boost.Context fiber a thread, all on one operating-system thread.
// A fiber runs until it calls sync(), so between two barriers the threads of a block run one after the other, in an
// order that is drawn anew for every phase; so do the blocks. Shared memory is filled with garbage for every block, since
// what an earlier block left there would hide a missing barrier.
//
// What it finds: a read of shared memory before it is written, an answer that depends on the order of threads or blocks,
// and a barrier that not all threads reach. What it cannot: races inside one statement, and weak memory ordering.
#pragma once

#include <algorithm>
#include <boost/context/fiber.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace samestep::fibers {

enum class Order { forward, backward, shuffled };

struct Schedule {
  Order order = Order::forward;
  std::uint64_t seed = 0;  // for shuffled
};
inline constexpr Schedule schedules[] = {
    {Order::forward, 0}, {Order::backward, 0}, {Order::shuffled, 1}, {Order::shuffled, 2}};

// Some threads of a block wait at a barrier that others, having ended, never reach.
struct DivergentBarrier : std::logic_error {
  DivergentBarrier() : std::logic_error("not all threads of the block reach the barrier") {}
};

// What a kernel sees of its thread.
class Thread {
 public:
  unsigned index = 0, block = 0;
  void sync() { scheduler_ = std::move(scheduler_).resume(); }

 private:
  friend class Block;
  boost::context::fiber scheduler_, self_;
};

class Orders {
 public:
  explicit Orders(Schedule schedule) : schedule_(schedule), random_(schedule.seed) {}
  std::vector<unsigned> next(unsigned count) {
    std::vector<unsigned> order(count);
    std::iota(order.begin(), order.end(), 0u);
    if (schedule_.order == Order::backward) std::reverse(order.begin(), order.end());
    if (schedule_.order == Order::shuffled) std::shuffle(order.begin(), order.end(), random_);
    return order;
  }

 private:
  Schedule schedule_;
  std::mt19937_64 random_;
};

// The threads of one block.
class Block {
 public:
  template <class Body>
  Block(unsigned block, unsigned threads, const Body& body) : threads_(threads) {
    for (unsigned i = 0; i < threads; ++i) start(threads_[i], i, block, body);
  }
  void run(Orders& orders) {
    while (std::any_of(threads_.begin(), threads_.end(), [](const Thread& thread) { return bool(thread.self_); })) {
      for (const unsigned i : orders.next(static_cast<unsigned>(threads_.size())))
        threads_[i].self_ = std::move(threads_[i].self_).resume();
      const auto ended = std::count_if(threads_.begin(), threads_.end(), [](const Thread& t) { return !t.self_; });
      if (ended != 0 && static_cast<std::size_t>(ended) != threads_.size()) throw DivergentBarrier();
    }
  }

 private:
  template <class Body>
  static void start(Thread& thread, unsigned index, unsigned block, const Body& body) {
    thread.index = index;
    thread.block = block;
    thread.self_ = boost::context::fiber(std::allocator_arg, boost::context::fixedsize_stack(std::size_t{64} << 10),
                                         [&thread, &body](boost::context::fiber&& scheduler) {
                                           thread.scheduler_ = std::move(scheduler);
                                           body(thread);
                                           return std::move(thread.scheduler_);
                                         });
  }

  std::vector<Thread> threads_;
};

// kernel(thread, shared) for every thread of every block. Shared must be plain data, as on the device.
template <class Shared, class Kernel>
void launch(std::uint64_t blocks, unsigned threads, Schedule schedule, const Kernel& kernel) {
  static_assert(std::is_trivially_default_constructible_v<Shared> && std::is_trivially_copyable_v<Shared>);
  Orders orders(schedule);
  for (const unsigned block : orders.next(static_cast<unsigned>(blocks))) {
    Shared shared;
    std::memset(static_cast<void*>(&shared), static_cast<int>(0xA5 ^ (block & 0x5A)), sizeof shared);
    Block(block, threads, [&](Thread& thread) { kernel(thread, shared); }).run(orders);
  }
}

struct NoSharedMemory {};

}  // namespace samestep::fibers
