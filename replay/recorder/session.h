// One training process's session as it is recorded: its log, and what its steps show by themselves.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "replay/recorder/continuation.h"
#include "replay/recorder/manifest_keeper.h"
#include "replay/recorder/observations.h"
#include "replay/recorder/protocol.h"
#include "replay/recorder/session_log.h"

namespace samestep {

class Session {
 public:
  // `manifest` must outlive it: events go there.
  Session(std::uint32_t rank, SessionLog log, ManifestKeeper& manifest);

  [[nodiscard]] std::uint32_t rank() const { return rank_; }
  [[nodiscard]] SessionLog& log() { return log_; }
  [[nodiscard]] const SessionLog& log() const { return log_; }
  // Nothing more will come of it; how it ended may not be known yet. Its rank is free.
  [[nodiscard]] bool is_gone() const { return gone_; }
  void leave();

  // Where it goes on, and the earlier recording of the same steps that it is compared with.
  void go_on(Continuation found);
  void begin(const Layout& layout);
  // Throws BrokenClient for a step that is not the next one, or that no log can hold. What follows after it can only
  // fail for reasons of our own.
  void check(const StepRecord& record) const;
  // Before it is stored: state that was edited between steps, steps out of pace.
  void observe(const StepRecord& record);
  // After it was stored, for that computes its chain.
  void compare_overlap(const StepRecord& record);

  void tell(const std::string& kind, std::optional<std::uint64_t> step, const std::string& text,
            const std::string& tensor = "") const;
  // What the client itself has to tell: bounded in number and size, for nothing is known of what it may send.
  void tell_from_client(const protocol::Notice& notice);

 private:
  [[nodiscard]] bool parts_here(const StepRecord& record);

  std::uint32_t rank_;
  SessionLog log_;
  ManifestKeeper& manifest_;
  Continuity continuity_;
  Pace pace_;
  Repeats repeats_;
  std::shared_ptr<const StepSource> overlap_;  // an earlier recording of the steps to come, until they part
  std::uint64_t client_events_ = 0;            // that the client told
  bool gone_ = false;
};

// Of an anchor of a program with these tensors: weights, buffers and the optimizer's state; the rest is small.
[[nodiscard]] std::uint64_t anchor_bytes(const Layout& layout);

}  // namespace samestep
