// The server's first thread: accepts, reads every socket as soon as it has bytes, learns how each process ended, and
// puts all of it into the inbox in the order in which each client sent it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "replay/recorder/inbox.h"
#include "replay/recorder/server.h"

namespace samestep {

class Drain {
 public:
  // `listener` is a listening socket. Throws BrokenInput where the kernel gives no eventfd.
  Drain(Descriptor listener, Inbox& inbox, const ServerLimits& limits);

  // The thread's body: until stop(), then one last pass over everything already sent; closes the inbox at the end.
  // Ends on nothing else: what goes wrong with one client ends that client.
  void run() noexcept;
  // From other threads: wakes run() up, because there is room again, or to stop.
  void wake() const;
  void stop();
  [[nodiscard]] std::size_t live_clients() const { return live_.load(); }
  // Connections that were closed at once, for this process had no descriptor left for them.
  [[nodiscard]] std::uint64_t turned_away() const { return turned_away_.load(); }

 private:
  void serve();
  void take_the_rest();
  void wait();
  void accept_all();
  void add_peer(Descriptor socket);
  [[nodiscard]] bool turn_one_away();
  void read_all();
  [[nodiscard]] bool read(const std::shared_ptr<Peer>& peer);
  [[nodiscard]] bool read_frames(const std::shared_ptr<Peer>& peer);
  void close(const std::shared_ptr<Peer>& peer);
  void give_up() noexcept;
  void end_those_that_ended(bool now);
  void finish(const std::shared_ptr<Peer>& peer);
  void count_living();

  Descriptor listener_;
  Inbox& inbox_;
  ServerLimits limits_;
  Descriptor waker_;
  Descriptor reserve_;            // given up for a moment where no other descriptor is left to accept with
  bool accepts_nothing_ = false;  // not even that helped: the listener is left alone until the next tick
  std::atomic<std::uint64_t> turned_away_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::size_t> live_ = 0;
  std::uint64_t next_number_ = 0;
  std::vector<std::shared_ptr<Peer>> peers_;
};

}  // namespace samestep
