#include "replay/recorder/terminal.h"

#include <unistd.h>

#include <algorithm>

namespace samestep {

void Terminal::say(const std::string& text) {
  if (other_) return other_(text);
  std::string line = "samestep: " + text;
  // A message from a library may have several lines; here it is one.
  std::ranges::replace(line, '\n', ' ');
  line += '\n';
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
