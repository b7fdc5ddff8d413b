// The one exception type: broken input or a broken machine. A divergence is never an exception.
#pragma once

#include <stdexcept>
#include <string>

namespace samestep {

// What was being done, to which file or tensor, what was expected and found, what to try: one sentence each.
class BrokenInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A run whose contents contradict each other: edited after it was written. Verdict `tampered`, exit code 4.
class TamperedInput : public BrokenInput {
 public:
  using BrokenInput::BrokenInput;
};

}  // namespace samestep
