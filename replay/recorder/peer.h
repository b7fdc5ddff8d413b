// A client as the server holds it: socket, process, and what is known of both.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>

#include "replay/recorder/sink.h"

namespace samestep {

// Shared by the server's two threads. The draining thread reads (`read`, `closing_since`, `heard`), the sink's thread
// sends and owns `client`, `layout` and `stage`; `said_bye` is set by one and read by the other.
class Peer {
 public:
  // An accepted connection.
  Peer(std::uint64_t number, Descriptor socket);

  [[nodiscard]] int socket() const { return connection.socket(); }
  // Readable once the process has ended; -1 where the kernel does not say.
  [[nodiscard]] int process() const { return process_.get(); }
  [[nodiscard]] bool process_ended() const;
  // "killed by signal 9", "exited with code 3"; nullopt where the process lives or nothing is known. Our own children
  // are only looked at, not reaped: launch() still waits for them.
  [[nodiscard]] std::optional<std::string> how_process_ended() const;
  // Neither side will send any more; what has come is still read.
  void hang_up() const;

  protocol::Connection connection;
  protocol::FrameReader reader;
  std::optional<std::chrono::steady_clock::time_point> closing_since;  // the socket has nothing more to give
  bool heard = false;                                                  // it has sent something
  std::string broken;                                                  // why what it sent was refused

  Client client;
  Layout layout;
  enum class Stage : unsigned char { connected, greeted, ready, done } stage = Stage::connected;
  bool may_start = false;  // it was asked for a start and has sent neither that nor a layout

  std::atomic<bool> said_bye = false;

 private:
  Descriptor process_;
};

}  // namespace samestep
