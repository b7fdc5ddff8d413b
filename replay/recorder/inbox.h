// The bounded queue between the thread that drains the sockets and the one that makes all calls of the sink.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>

#include "replay/recorder/peer.h"

namespace samestep {

// All that a client sent has been taken in, and no more will come.
struct ClientGone {};

// What one client sent, or how it ended.
struct Incoming {
  std::shared_ptr<Peer> peer;
  std::variant<protocol::Frame, ClientGone, ClientEnd> what;
};

// Thread-safe. The producer asks has_room() before it reads a socket, so that push() never waits and a frame that was
// read is never dropped; the consumer says when there is room again.
class Inbox {
 public:
  Inbox(std::size_t most_frames, std::size_t most_bytes) : most_frames_(most_frames), most_bytes_(most_bytes) {}
  ~Inbox();  // closes the descriptors of frames that nobody took

  [[nodiscard]] bool has_room() const;
  void push(Incoming incoming);
  // The next item; nullopt where none came before `until`, or where the inbox is closed and empty. `freed` becomes true
  // where the queue was full and is not any more.
  [[nodiscard]] std::optional<Incoming> pop(std::chrono::steady_clock::time_point until, bool& freed);
  void close();
  [[nodiscard]] bool finished() const;

 private:
  [[nodiscard]] bool full() const { return items_.size() >= most_frames_ || bytes_ >= most_bytes_; }

  std::size_t most_frames_, most_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Incoming> items_;
  std::size_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace samestep
