#include "replay/recorder/terminal.h"

#include <unistd.h>

namespace samestep {

void Terminal::say(const std::string& text) {
  const std::string line = "samestep: " + text + "\n";
  const std::scoped_lock lock(mutex_);
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

void Terminal::say_once(const std::string& text) {
  {
    const std::scoped_lock lock(mutex_);
    if (!said_.insert(text).second) return;
  }
  say(text);
}

}  // namespace samestep
