// Takes a program to an anchor without computing what depends on its weights. As long as the object lives, every
// operator of the process is looked at below autograd (dispatch key BackendSelect, by a kernel that is registered for
// each one at run time and unregistered at the end): one that reads nothing stale runs; one that reads stale memory is
// answered, with results of the right shapes and no contents; what the program then reads out of such results it is
// given from the recording (host_reads.h). So loaders, schedules, counters and draws of random numbers go as they did.
//
// Random operators always run: a generator must move on as it did. What they read is zero, or ones where it is taken
// for probabilities.
#pragma once

#include <torch/library.h>
#include <torch/torch.h>

#include <memory>
#include <vector>

#include "replay/capture/stale_memory.h"

namespace samestep::capture {

class FastForward {
 public:
  // `weights`: parameters and buffers, stale from now on. At most one object at a time; construct and destroy it in the
  // thread that trains, outside any operator.
  explicit FastForward(const std::vector<at::Tensor>& weights);
  ~FastForward();
  FastForward(const FastForward&) = delete;
  FastForward& operator=(const FastForward&) = delete;

  [[nodiscard]] bool is_stale(const at::Tensor& tensor) const { return memory_->holds(tensor); }
  void mark(const at::Tensor& tensor) { memory_->add(tensor); }
  [[nodiscard]] bool take_written(const at::Tensor& tensor) { return memory_->take_written(tensor); }

 private:
  void watch_operators();

  // Shared with the kernels, which outlive this object by a moment.
  std::shared_ptr<StaleMemory> memory_ = std::make_shared<StaleMemory>();
  std::vector<std::unique_ptr<torch::Library>> libraries_;  // one a namespace
};

}  // namespace samestep::capture
