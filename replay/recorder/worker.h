// One thread that does what it is given, in order: what must not hold up the sink (syncs, copies, digests of files).
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "replay/recorder/quiet_thread.h"

namespace samestep {

class Worker {
 public:
  // `complain` is told, in the worker's thread, what a task threw; the tasks after it are done all the same.
  // `low_priority`: runs only where no other program wants the processor.
  using Complain = std::function<void(const std::string&)>;
  explicit Worker(Complain complain, bool low_priority = false);
  ~Worker();  // finish()
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void add(std::function<void()> task);
  // Waits until at most `most` tasks are waiting or under way.
  void wait_until_left(std::size_t most);
  // Does all that was added; nothing can be added afterwards. Idempotent.
  void finish();

 private:
  void run();
  void attempt(const std::function<void()>& task) const noexcept;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::size_t left_ = 0;
  bool closed_ = false;
  Complain complain_;
  bool low_priority_;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace samestep
