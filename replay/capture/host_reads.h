// What a program reads out of tensors into variables of its own: `.item()`, `bool()`, the length of a `nonzero()`.
// While recording every such number is noted; while a replay fast-forwards, tensors hold nothing, and the noted numbers
// are given in their place, in order.
//
// One sequence a process, that of the thread which began it; reads of other threads are no part of it. Numbers are 64
// bits: a double's, or an integer's with its sign.
#pragma once

#include <torch/library.h>
#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace samestep::capture {

class HostReads {
 public:
  // Notes what the calling thread reads, as long as the object lives. At most one at a time.
  HostReads();
  ~HostReads();
  HostReads(const HostReads&) = delete;
  HostReads& operator=(const HostReads&) = delete;

  // Those since the last call; at most max_host_reads of them: `lost` (if given) is set where there were more.
  [[nodiscard]] static std::vector<std::uint64_t> take(bool* lost = nullptr);

  // Of other ways than operators (Tensor.tolist): notes one.
  static void note(std::uint64_t bits);
  // True where the calling thread's reads are part of the sequence now.
  [[nodiscard]] static bool counted();

  // What is read while one lives is no part of the sequence: an optimizer's own reads, Samestep's. Nests.
  static void pause();
  static void resume();
  class Unread {  // pauses as long as it lives
   public:
    Unread() { pause(); }
    ~Unread() { resume(); }
    Unread(const Unread&) = delete;
    Unread& operator=(const Unread&) = delete;
  };

  // --- Fast-forward ---
  // The numbers recorded of the step that begins; what is left of the step before is dropped.
  static void give(std::vector<std::uint64_t> numbers);
  // The next of them. Where there is none: 0, and short_of() counts it.
  [[nodiscard]] static std::uint64_t next();
  // How many were asked for beyond those given, and how many of those given were not asked for, in this step.
  [[nodiscard]] static std::uint64_t short_of();
  [[nodiscard]] static std::uint64_t left();
  // The thread whose reads are given: the calling one.
  static void begin_giving();
  static void end_giving();

 private:
  std::unique_ptr<torch::Library> library_;
};

[[nodiscard]] std::uint64_t bits_of(const at::Scalar& value);
[[nodiscard]] at::Scalar scalar_from(std::uint64_t bits, at::ScalarType type);

// Operators that read numbers out of tensors inside their kernels: those are no reads of the program's.
[[nodiscard]] const std::vector<std::string>& operators_that_read_inside();
// Operators whose first result is as long as its argument's values say. Their length is a read.
[[nodiscard]] const std::vector<std::string>& operators_of_unknown_length();

}  // namespace samestep::capture
