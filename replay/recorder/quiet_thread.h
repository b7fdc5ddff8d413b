// A thread that receives no signals: they belong to the main thread, which passes them on to the command.
#pragma once

#include <csignal>
#include <thread>
#include <utility>

namespace samestep {

template <class Body>
[[nodiscard]] std::thread quiet_thread(Body&& body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::forward<Body>(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace samestep
