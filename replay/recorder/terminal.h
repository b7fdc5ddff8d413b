// What the recorder says to the person at the terminal: whole lines on standard error that begin with "samestep: ".
// Standard output and everything else belong to the command.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace samestep {

class Terminal {
 public:
  Terminal() = default;
  // Says it to `other` instead.
  explicit Terminal(std::function<void(const std::string&)> other) : other_(std::move(other)) {}

  // One line, in one write, so that it is not torn by what the command writes. Thread-safe; a closed standard error is
  // no error.
  void say(const std::string& text);
  // The same, once for each text: a full disk is said once, not at every step.
  void say_once(const std::string& text);

 private:
  std::function<void(const std::string&)> other_;
  std::mutex mutex_;
  std::set<std::string> said_;
};

}  // namespace samestep
