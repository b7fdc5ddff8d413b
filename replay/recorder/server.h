// Listens on a socket in a private directory (0700, removed at the end) and gives what the training processes send to a
// Sink. Two threads: one drains the sockets of all clients into a bounded queue, the other takes from the queue, makes
// every call of the sink (thus every HDF5 call) and sends the answers; so an fsync never keeps a trainer from sending.
// When the queue is full the sockets are left alone until it is not: nothing is dropped, memory stays bounded.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "replay/recorder/sink.h"

namespace samestep {

struct ServerLimits {
  std::size_t queue_frames = 1024;                  // frames waiting for the sink
  std::size_t queue_bytes = std::size_t{64} << 20;  // of their payloads; one frame may exceed it
  std::chrono::milliseconds tick{1000};             // between calls of Sink::on_tick
  std::chrono::milliseconds farewell{1000};         // how long a closed connection waits to learn how its process ended
};

class Server {
 public:
  // Listens and starts both threads. `sink` must outlive the server. Throws BrokenInput where no socket can be made.
  explicit Server(Sink& sink, ServerLimits limits = {});
  ~Server();  // finish()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The value for protocol::socket_variable.
  [[nodiscard]] const std::string& socket_path() const;
  // Connections whose process lives and has not said bye.
  [[nodiscard]] std::size_t live_clients() const;
  // Takes in whatever has been sent so far, also by processes that have died and by connections not yet accepted; ends
  // every client; joins the threads; removes the socket. Idempotent.
  void finish();
  // What the sink threw, if it did, one sentence each: the client it happened to was told to train on unrecorded. And
  // how many clients were turned away for want of descriptors, if any were. Complete after finish().
  [[nodiscard]] std::vector<std::string> failures() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samestep
