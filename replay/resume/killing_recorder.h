// The recorder of a program that is to be killed: it holds the program's every step until it is on disk, and kills it
// at a step that does not depend on how fast anything was.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>

#include "replay/recorder/launch.h"
#include "replay/recorder/run_recorder.h"

namespace samestep {

class KillingRecorder : public RunRecorder {
 public:
  // `after`: the program is killed when it has made the update of the step that follows on this one and waits for the
  // recorder. What it did between the two, a checkpoint of step `after` say, it has done; of what it does after the
  // next update, nothing. nullopt: it is never killed.
  KillingRecorder(const RecordOptions& options, Terminal& terminal, std::optional<std::uint64_t> after);

  // For Launch::started.
  void started(Running& command);

  Greeting on_hello(const Client& client) override;
  protocol::Ack on_step(const Client& client, StepRecord&& record) override;

 private:
  void kill(const Client& client);

  std::optional<std::uint64_t> after_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Running* command_ = nullptr;
};

}  // namespace samestep
