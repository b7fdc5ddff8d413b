#include "replay/capture/recorder_link.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "replay/run/error.h"

namespace samestep::capture {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using protocol::Type;

// How long a program that ends waits for its last steps to be acknowledged.
constexpr auto farewell = 10s;

std::int64_t nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

}  // namespace

void say(const std::string& line) {
  std::fprintf(stderr, "samestep: %s\n", line.c_str());
}

std::unique_ptr<RecorderLink> RecorderLink::open(const protocol::Hello& hello) {
  const char* path = std::getenv(protocol::socket_variable);
  if (path == nullptr || *path == '\0') return nullptr;
  auto connection = protocol::Connection::connect(path);
  if (!connection) {
    say(std::string("no recorder answers at ") + path + "; the training runs unrecorded");
    return nullptr;
  }
  std::unique_ptr<RecorderLink> link(new RecorderLink(std::move(*connection)));
  return link->greet(hello) ? std::move(link) : nullptr;
}

RecorderLink::~RecorderLink() {
  if (anchor_ >= 0) ::close(anchor_);
}

bool RecorderLink::greet(const protocol::Hello& hello) {
  send(Type::hello, protocol::encode(hello));
  if (!alive_ || !receive(std::nullopt)) return false;
  if (welcome_.mode == protocol::Mode::off && !welcome_.refusal.empty()) say(welcome_.refusal);
  return alive_ && welcome_.mode != protocol::Mode::off;
}

void RecorderLink::give_up(const std::string& why) {
  if (!alive_) return;
  alive_ = false;
  say(why + "; the training goes on unrecorded");
}

void RecorderLink::send(Type type, std::string_view payload, int descriptor) {
  if (!alive_) return;
  if (!connection_.send(type, payload, descriptor)) give_up("the recorder has gone");
}

bool RecorderLink::receive(std::optional<std::chrono::milliseconds> timeout) {
  if (!alive_) return false;
  try {
    auto frame = connection_.receive(timeout);
    if (!frame) {
      if (!connection_.timed_out()) give_up("the recorder has gone");
      return false;
    }
    accept(std::move(*frame));
    return true;
  } catch (const BrokenInput& error) {
    give_up(std::string("the recorder's answer makes no sense (") + error.what() + ")");
    return false;
  }
}

void RecorderLink::accept(protocol::Frame frame) {
  switch (frame.type) {
    case Type::welcome:
      welcome_ = protocol::decode_welcome(frame.text());
      std::swap(anchor_, frame.descriptor);
      hyper_ = welcome_.hyper;
      break;
    case Type::begin:
      begin_ = protocol::decode_begin(frame.text()).first_step;
      break;
    case Type::ack:
      note(protocol::decode_ack(frame.text()));
      break;
    default:
      throw BrokenInput("a frame of type " + std::to_string(static_cast<int>(frame.type)) + " was not expected");
  }
  if (frame.descriptor >= 0) ::close(frame.descriptor);
}

void RecorderLink::note(const protocol::Ack& ack) {
  if (ack.answer == protocol::Ack::Answer::off) {
    alive_ = false;  // the recorder has said why
    return;
  }
  if (ack.step < first_ || ack.step >= first_ + sent_) {
    throw BrokenInput("step " + std::to_string(ack.step) + " is acknowledged and was never sent");
  }
  acknowledged_ = std::max(acknowledged_, ack.step - first_ + 1);
  wishes_.stop |= ack.answer == protocol::Ack::Answer::stop;
  wishes_.dump |= ack.answer == protocol::Ack::Answer::dump;
  wishes_.cut_anchor |= ack.cut_anchor;
  host_reads_ = ack.host_reads;
  hyper_ = ack.hyper;
}

void RecorderLink::await(std::uint64_t unacknowledged) {
  const auto start = Clock::now();
  while (outstanding() > unacknowledged && receive(std::nullopt)) {
  }
  waited_ns_ += nanoseconds_since(start);
}

std::uint64_t RecorderLink::start(const protocol::Start& message) {
  send(Type::start, protocol::encode(message));
  while (!begin_ && receive(std::nullopt)) {
  }
  return begin_.value_or(welcome_.first_step);
}

void RecorderLink::layout(const std::string& text) {
  send(Type::layout, text);
}

void RecorderLink::step(std::uint64_t number, std::span<const std::byte> record) {
  if (sent_ == 0) first_ = number;
  await(protocol::max_ahead - 1);
  send(Type::step, {reinterpret_cast<const char*>(record.data()), record.size()});
  ++sent_;
  if (welcome_.lockstep) await(0);
  while (outstanding() > 0 && receive(0ms)) {
  }
}

void RecorderLink::file(Type type, std::uint64_t step, int descriptor) {
  send(type, protocol::encode(protocol::StepNumber{step}), descriptor);
}

void RecorderLink::notice(const protocol::Notice& notice) {
  send(Type::event, protocol::encode(notice));
}

void RecorderLink::code(const protocol::Code& code) {
  send(Type::code, protocol::encode(code));
}

void RecorderLink::bye(const std::string& how) {
  send(Type::bye, protocol::encode(protocol::Bye{how, sent_}));
  const auto deadline = Clock::now() + farewell;
  while (outstanding() > 0 && Clock::now() < deadline && receive(100ms)) {
  }
  alive_ = false;
}

Wishes RecorderLink::take_wishes() {
  return std::exchange(wishes_, {});
}

std::vector<std::uint64_t> RecorderLink::take_host_reads() {
  return std::exchange(host_reads_, {});
}

std::int64_t RecorderLink::take_waited() {
  return std::exchange(waited_ns_, 0);
}

}  // namespace samestep::capture
