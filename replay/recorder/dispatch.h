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
  void run() noexcept;
  [[nodiscard]] std::vector<std::string> failures() const;

 private:
  void serve();
  void take(Incoming incoming) noexcept;
  void take(Peer& peer, protocol::Frame frame);
  void obey(Peer& peer, const protocol::Frame& frame, Descriptor file);
  void greet(Peer& peer, const protocol::Frame& frame);
  void start(Peer& peer, const protocol::Frame& frame);
  void layout(Peer& peer, const protocol::Frame& frame);
  void tensors(Peer& peer, const protocol::Frame& frame, Descriptor file);
  void code(Peer& peer, const protocol::Frame& frame);
  void event(Peer& peer, const protocol::Frame& frame);
  void step(Peer& peer, const protocol::Frame& frame);
  void bye(Peer& peer, const protocol::Frame& frame);
  [[nodiscard]] static bool is_known(const Peer& peer);
  void gone(Peer& peer);
  void end(Peer& peer, const ClientEnd& how);
  void give_up(Peer& peer, const std::string& why);
  void note(const char* failure) noexcept;
  template <class Call>
  bool guarded(Call&& call);
  template <class Call>
  void ask_sink(Call&& call);

  Sink& sink_;
  Inbox& inbox_;
  Drain& drain_;
  ServerLimits limits_;
  mutable std::mutex mutex_;
  std::vector<std::string> failures_;
  std::string last_failure_;
};

}  // namespace samestep
