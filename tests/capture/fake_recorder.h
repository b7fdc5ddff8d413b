// A recorder inside the test: listens on a Unix socket, speaks the real protocol, keeps what it is told.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "replay/recorder/protocol.h"

namespace samestep::testing {

using Bytes = std::vector<std::byte>;

struct Script {
  protocol::Welcome welcome;
  Bytes anchor;  // sent with the welcome where it says has_anchor
  // The answer to a step; nullopt: none (yet).
  std::function<std::optional<protocol::Ack>(std::uint64_t)> answer = [](std::uint64_t step) {
    return protocol::Ack{.step = step};
  };
  std::uint64_t begin_at = 0;                 // the answer to start
  std::optional<std::uint64_t> dies_after{};  // closes the connection when this step has come
};

// What a recorder was told by one session.
struct Told {
  protocol::Hello hello;
  std::vector<Layout> layouts;
  std::vector<StepRecord> steps;       // with root and chain computed
  std::vector<std::size_t> layout_of;  // for each step, which of `layouts`
  std::map<std::uint64_t, Bytes> anchors, dumps;
  std::vector<protocol::Notice> events;
  std::vector<protocol::Start> starts;
  std::optional<protocol::Bye> bye;

  [[nodiscard]] const Layout& layout(std::size_t step_index) const { return layouts[layout_of[step_index]]; }
  [[nodiscard]] std::vector<std::string> names(Lane lane, std::size_t layout = 0) const;
  [[nodiscard]] bool has_event(const std::string& kind, const std::string& part = "") const;
};

// Sets protocol::socket_variable for its lifetime; serves one session.
class FakeRecorder {
 public:
  explicit FakeRecorder(Script script = {});
  ~FakeRecorder();
  // Waits for the session to end.
  const Told& told();
  // Closes the connection, as a recorder that is killed.
  void hang_up();
  [[nodiscard]] std::uint64_t steps_received() const { return received_; }

 private:
  void serve();
  void greet(protocol::Connection& connection, const protocol::Frame& frame);
  bool take(protocol::Connection& connection, protocol::Frame frame);
  bool take_step(protocol::Connection& connection, const protocol::Frame& frame);

  Script script_;
  std::string folder_, path_;
  int listener_ = -1;
  std::atomic<int> socket_ = -1;
  Told told_;
  std::atomic<std::uint64_t> received_ = 0;
  std::thread thread_;
};

// A script that records.
[[nodiscard]] Script recording(std::uint64_t anchor_every = 0);
// A script that replays [first, to) from an anchor.
[[nodiscard]] Script replaying(std::uint64_t first, std::uint64_t to, Bytes anchor);

}  // namespace samestep::testing
