#include "cli/terminal.h"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <clocale>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "replay/run/printable.h"

namespace samestep::cli {
namespace {

bool can_redraw() {
  const char* kind = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) != 0 && kind != nullptr && std::strcmp(kind, "dumb") != 0;
}

}  // namespace

std::size_t terminal_columns(int descriptor) {
  winsize window{};
  return ::ioctl(descriptor, TIOCGWINSZ, &window) == 0 ? window.ws_col : 0;
}

bool is_utf8_locale() {
  std::setlocale(LC_CTYPE, "");
  return std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0;
}

StatusLine::StatusLine() : possible_(can_redraw()) {}

void StatusLine::erase() {
  if (shown_) std::cerr << "\r\033[K" << std::flush;
  shown_ = false;
}

void StatusLine::show(const std::function<std::string(std::size_t)>& text) {
  if (!possible_) return;
  const std::lock_guard lock(mutex_);
  constexpr std::size_t usual = 80;
  const std::size_t columns = terminal_columns(STDERR_FILENO);
  // In the last column some terminals wrap at once.
  const std::string line = text((columns == 0 ? usual : columns) - 1);
  erase();
  if (!line.empty()) std::cerr << "\r\033[K" << line << std::flush;
  shown_ = !line.empty();
}

void StatusLine::clear() {
  const std::lock_guard lock(mutex_);
  erase();
}

void StatusLine::say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  erase();
  std::cerr << "samestep: " << printable(line) << std::endl;
}

}  // namespace samestep::cli
