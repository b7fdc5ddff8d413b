// The terminal that standard error may be: its width, its characters, and a line at its end that comes and goes.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>

namespace samestep::cli {

// Of the terminal behind a descriptor; 0 where there is none.
[[nodiscard]] std::size_t terminal_columns(int descriptor);
[[nodiscard]] bool is_utf8_locale();

// A line on standard error that tells how far something is, drawn over again and again. Where standard error is no
// terminal, or one that cannot do this, nothing is drawn. Safe from any thread.
class StatusLine {
 public:
  StatusLine();
  // Whether it is drawn at all.
  [[nodiscard]] bool is_drawn() const { return possible_; }
  // What `text` gives for a terminal so wide; "" takes the line away.
  void show(const std::function<std::string(std::size_t columns)>& text);
  void clear();
  // "samestep: LINE" on a line of its own; harmless whatever it holds.
  void say(const std::string& line);

 private:
  void erase();
  std::mutex mutex_;
  bool possible_;
  bool shown_ = false;
};

}  // namespace samestep::cli
