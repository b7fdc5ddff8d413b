// How a worker comes to its end when nobody waits for it any more, or somebody asks for it.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "bisect/job.h"

namespace samestep {

// While it lives, a signal to stop (Ctrl-C, `kill`) ends no more than the command that runs: launch() takes it then.
// One that comes between two commands is sent again until a command takes it. A worker tied to a parent is killed with
// it; one that watches a sign of life asks itself to stop when that stays the same for too long. REQUIRES the main
// thread, and nothing else in the process that handles these signals.
class Tied {
 public:
  explicit Tied(const Tie& tie);
  ~Tied();
  Tied(const Tied&) = delete;
  Tied& operator=(const Tied&) = delete;

  // The signal that has come, or comes within `wait`; 0: none.
  [[nodiscard]] static int asked_to_stop(std::chrono::milliseconds wait = std::chrono::milliseconds::zero());

 private:
  void watch();
  Tie tie_;
  std::atomic<bool> done_ = false;
  std::thread watcher_;
};

}  // namespace samestep
