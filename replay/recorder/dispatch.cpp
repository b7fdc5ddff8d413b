#include "replay/recorder/dispatch.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "replay/run/error.h"

namespace samestep {

namespace {

using protocol::Frame;
using protocol::Type;
using Clock = std::chrono::steady_clock;

[[noreturn]] void out_of_turn(const Frame& frame) {
  throw BrokenInput(fmt::format("a frame of type {} came out of turn", static_cast<int>(frame.type)));
}

}  // namespace

// An exception of the sink's own, as opposed to one about what the client sent.
struct SinkFailed {};

Dispatch::Dispatch(Sink& sink, Inbox& inbox, Drain& drain, const ServerLimits& limits)
    : sink_(sink), inbox_(inbox), drain_(drain), limits_(limits) {}

void Dispatch::run() {
  auto next_tick = Clock::now() + limits_.tick;
  while (!inbox_.finished()) {
    bool freed = false;
    if (auto incoming = inbox_.pop(next_tick, freed)) take(std::move(*incoming));
    if (freed) drain_.wake();
    if (Clock::now() < next_tick) continue;
    guarded([&] { sink_.on_tick(); });
    next_tick = Clock::now() + limits_.tick;
  }
}

std::vector<std::string> Dispatch::failures() const {
  const std::scoped_lock lock(mutex_);
  return failures_;
}

// True where `call` returned. What it threw is kept, to be said once.
template <class Call>
bool Dispatch::guarded(Call&& call) {
  try {
    call();
    return true;
  } catch (const std::exception& error) {
    const std::scoped_lock lock(mutex_);
    failures_.emplace_back(error.what());
    return false;
  }
}

void Dispatch::take(Incoming incoming) {
  Peer& peer = *incoming.peer;
  if (const auto* how = std::get_if<ClientEnd>(&incoming.what)) {
    end(peer, *how);
    return;
  }
  take(peer, std::get<Frame>(std::move(incoming.what)));
}

void Dispatch::take(Peer& peer, Frame frame) {
  Descriptor file(frame.descriptor);
  if (peer.stage == Peer::Stage::done) return;
  try {
    if (peer.stage == Peer::Stage::connected)
      greet(peer, frame);
    else
      session_frame(peer, frame, std::move(file));
  } catch (const BrokenInput& error) {
    give_up(peer, fmt::format("refused: {}", error.what()));
  } catch (const SinkFailed&) {
    give_up(peer, "lost: the recorder failed");
  }
}

void Dispatch::greet(Peer& peer, const Frame& frame) {
  if (frame.type != Type::hello) out_of_turn(frame);
  peer.client.hello = protocol::decode_hello(frame.text());
  Greeting greeting;
  peer.stage = Peer::Stage::greeted;
  if (!guarded([&] { greeting = sink_.on_hello(peer.client); })) {
    greeting.welcome = {};
    greeting.welcome.refusal = failures().back();
  }
  if (greeting.welcome.mode == protocol::Mode::off) peer.stage = Peer::Stage::done;
  (void)peer.connection.send(Type::welcome, protocol::encode(greeting.welcome), greeting.anchor.get());
}

void Dispatch::session_frame(Peer& peer, const Frame& frame, Descriptor file) {
  const auto call = [&](auto&& sink_call) {
    if (!guarded(sink_call)) throw SinkFailed{};
  };
  switch (frame.type) {
    case Type::start: {
      const protocol::Start start = protocol::decode_start(frame.text());
      protocol::Begin begin;
      call([&] { begin.first_step = sink_.on_start(peer.client, start); });
      (void)peer.connection.send(Type::begin, protocol::encode(begin));
      return;
    }
    case Type::layout:
      peer.layout = decode_layout(frame.text());
      peer.stage = Peer::Stage::ready;
      call([&] { sink_.on_layout(peer.client, peer.layout); });
      return;
    case Type::step:
      step(peer, frame);
      return;
    case Type::anchor:
    case Type::dump: {
      const std::uint64_t number = protocol::decode_step_number(frame.text()).step;
      if (!file) throw BrokenInput("a file of tensors was announced and none came with it");
      call([&] {
        if (frame.type == Type::anchor)
          sink_.on_anchor(peer.client, number, std::move(file));
        else
          sink_.on_dump(peer.client, number, std::move(file));
      });
      return;
    }
    case Type::event: {
      const protocol::Notice notice = protocol::decode_notice(frame.text());
      call([&] { sink_.on_event(peer.client, notice); });
      return;
    }
    case Type::bye:
      bye(peer, frame);
      return;
    default:
      out_of_turn(frame);
  }
}

void Dispatch::step(Peer& peer, const Frame& frame) {
  if (peer.stage != Peer::Stage::ready) out_of_turn(frame);
  StepRecord record = decode_step(frame.payload, peer.layout);
  protocol::Ack ack;
  if (!guarded([&] { ack = sink_.on_step(peer.client, std::move(record)); })) throw SinkFailed{};
  (void)peer.connection.send(Type::ack, protocol::encode(ack));
  if (ack.answer != protocol::Ack::Answer::off) return;
  // The answer is in its socket; what it sends from now on fails at once and does not hold it up.
  peer.hang_up();
}

void Dispatch::bye(Peer& peer, const Frame& frame) {
  const protocol::Bye message = protocol::decode_bye(frame.text());
  peer.said_bye = true;
  end(peer, {message.how, true, message.steps});
}

void Dispatch::end(Peer& peer, const ClientEnd& how) {
  const bool known = peer.stage == Peer::Stage::greeted || peer.stage == Peer::Stage::ready;
  peer.stage = Peer::Stage::done;
  if (known) guarded([&] { sink_.on_end(peer.client, how); });
}

void Dispatch::give_up(Peer& peer, const std::string& why) {
  (void)peer.connection.send(
      Type::ack, protocol::encode(protocol::Ack{protocol::Ack::no_step, protocol::Ack::Answer::off, false}));
  peer.hang_up();
  end(peer, {why, false, 0});
}

}  // namespace samestep
