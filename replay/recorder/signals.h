// Signals that would end this process, taken in while it waits for commands that it started.
#pragma once

#include <sys/signalfd.h>

#include <csignal>
#include <optional>

#include "replay/recorder/descriptor.h"

namespace samestep {

// While it lives, signals come through `descriptor()` and end nothing. REQUIRES the main thread, before other threads
// have been started with signals unblocked.
class Signals {
 public:
  Signals();
  ~Signals();  // what has come meanwhile is forgotten
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Readable while there is one.
  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  // The next one; nullopt where none has come.
  [[nodiscard]] std::optional<signalfd_siginfo> take() const;
  // The signals that were blocked before: what a command has to find.
  [[nodiscard]] const sigset_t& mask_before() const { return mask_; }
  // Signals to be set back to their default in a command; one that was ignored before stays ignored.
  [[nodiscard]] static sigset_t defaults();

 private:
  sigset_t mask_{};
  Descriptor descriptor_;
};

// Somebody asks for the end: Ctrl-C, `kill`, a terminal that closes.
[[nodiscard]] bool means_stop(const signalfd_siginfo& info);

}  // namespace samestep
