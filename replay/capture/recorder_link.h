// The training program's end of the connection to its recorder: hello, acknowledgements, and how far ahead of them the
// program may run. Knows messages and nothing of tensors; includes no LibTorch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replay/recorder/protocol.h"

namespace samestep::capture {

// What the acknowledgements read so far ask for. Each wish is taken once.
struct Wishes {
  bool stop = false;
  bool dump = false;
  bool cut_anchor = false;
};

class RecorderLink {
 public:
  // Says hello to the recorder that protocol::socket_variable names. Null where there is none, nobody answers, or the
  // recorder says off; where the user should know, one line on standard error says why.
  [[nodiscard]] static std::unique_ptr<RecorderLink> open(const protocol::Hello& hello);
  ~RecorderLink();

  [[nodiscard]] const protocol::Welcome& welcome() const { return welcome_; }
  // The descriptor of the anchor to restore, or -1; stays the link's.
  [[nodiscard]] int anchor() const { return anchor_; }
  // False once the recorder has gone; said on standard error once, and nothing is sent any more.
  [[nodiscard]] bool alive() const { return alive_; }
  // Ends the connection from this side, for a reason that one line on standard error gives.
  void give_up(const std::string& why);

  // Tells the first step's weights_in; returns the number that the recorder gives that step.
  std::uint64_t start(const protocol::Start& message);
  void layout(const std::string& text);
  // Waits until at most max_ahead steps (lockstep: none) are unacknowledged, then reads what answers there are.
  void step(std::uint64_t number, std::span<const std::byte> record);
  void file(protocol::Type type, std::uint64_t step, int descriptor);
  void notice(const protocol::Notice& notice);
  void code(const protocol::Code& code);
  // Waits a while for the outstanding acknowledgements: a connection closed with unread answers looks broken.
  void bye(const std::string& how);

  [[nodiscard]] Wishes take_wishes();
  // Of the acknowledgement read last: a fast-forward's next step.
  [[nodiscard]] std::vector<std::uint64_t> take_host_reads();
  // Pinned: what the next step's options are to be; nullopt where they are the program's own.
  [[nodiscard]] const std::optional<protocol::HyperValues>& pinned_hyper() const { return hyper_; }
  // Nanoseconds spent waiting since the last call.
  [[nodiscard]] std::int64_t take_waited();

 private:
  explicit RecorderLink(protocol::Connection connection) : connection_(std::move(connection)) {}
  bool greet(const protocol::Hello& hello);
  void accept(protocol::Frame frame);
  void send(protocol::Type type, std::string_view payload, int descriptor = -1);
  // One answer; false where none came within the timeout or ever will.
  bool receive(std::optional<std::chrono::milliseconds> timeout);
  void note(const protocol::Ack& ack);
  void await(std::uint64_t unacknowledged);
  [[nodiscard]] std::uint64_t outstanding() const { return sent_ - acknowledged_; }

  protocol::Connection connection_;
  protocol::Welcome welcome_;
  int anchor_ = -1;
  bool alive_ = true;
  std::optional<std::uint64_t> begin_;  // the answer to start
  std::uint64_t first_ = 0;             // number of the first step sent
  std::uint64_t sent_ = 0, acknowledged_ = 0;
  std::int64_t waited_ns_ = 0;
  Wishes wishes_;
  std::vector<std::uint64_t> host_reads_;
  std::optional<protocol::HyperValues> hyper_;
};

// One line on standard error, with the project's name before it.
void say(const std::string& line);

}  // namespace samestep::capture
