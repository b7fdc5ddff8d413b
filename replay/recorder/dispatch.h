// The server's second thread: turns frames into calls of the sink and the sink's answers into frames.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "replay/recorder/drain.h"

namespace samestep {

class Dispatch {
 public:
  Dispatch(Sink& sink, Inbox& inbox, Drain& drain, const ServerLimits& limits);

  // The thread's body: until the inbox is closed and empty.
  void run();
  [[nodiscard]] std::vector<std::string> failures() const;

 private:
  void take(Incoming incoming);
  void take(Peer& peer, protocol::Frame frame);
  void greet(Peer& peer, const protocol::Frame& frame);
  void session_frame(Peer& peer, const protocol::Frame& frame, Descriptor file);
  void step(Peer& peer, const protocol::Frame& frame);
  void bye(Peer& peer, const protocol::Frame& frame);
  void end(Peer& peer, const ClientEnd& how);
  void give_up(Peer& peer, const std::string& why);
  template <class Call>
  bool guarded(Call&& call);

  Sink& sink_;
  Inbox& inbox_;
  Drain& drain_;
  ServerLimits limits_;
  mutable std::mutex mutex_;
  std::vector<std::string> failures_;
};

}  // namespace samestep
