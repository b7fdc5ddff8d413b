#include "replay/recorder/worker.h"

#include <sched.h>

#include <exception>
#include <utility>

namespace samestep {

Worker::Worker(Complain complain, bool low_priority)
    : complain_(std::move(complain)), low_priority_(low_priority), thread_(quiet_thread([this] { run(); })) {}

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

// Nothing ends this thread, and with it the recorder: not even having no memory left to say so.
void Worker::attempt(const std::function<void()>& task) const noexcept {
  try {
    task();
  } catch (const std::exception& error) {
    try {
      if (complain_) complain_(error.what());
    } catch (...) {
    }
  } catch (...) {
  }
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
    attempt(task);
    lock.lock();
    --left_;
    changed_.notify_all();
  }
}

}  // namespace samestep
