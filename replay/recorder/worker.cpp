#include "replay/recorder/worker.h"

#include <sched.h>

namespace samestep {

Worker::Worker(bool low_priority) : low_priority_(low_priority), thread_(quiet_thread([this] { run(); })) {}

Worker::~Worker() {
  finish();
}

void Worker::add(std::function<void()> task) {
  {
    const std::scoped_lock lock(mutex_);
    tasks_.push_back(std::move(task));
    ++left_;
  }
  changed_.notify_all();
}

void Worker::wait_until_left(std::size_t most) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return left_ <= most; });
}

void Worker::finish() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Worker::run() {
  const sched_param none{};
  if (low_priority_) ::sched_setscheduler(0, SCHED_BATCH, &none);
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closed_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    lock.lock();
    --left_;
    changed_.notify_all();
  }
}

}  // namespace samestep
