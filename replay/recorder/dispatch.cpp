#include "replay/recorder/dispatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "replay/run/error.h"

namespace samestep {

namespace {

using protocol::Frame;
using protocol::Type;
using Clock = std::chrono::steady_clock;

constexpr std::size_t most_failures = 100;

[[noreturn]] void out_of_turn(const Frame& frame) {
  throw BrokenInput(fmt::format("a frame of type {} came out of turn", static_cast<int>(frame.type)));
}

}  // namespace

// An exception of the sink's own, as opposed to one about what the client sent.
struct SinkFailed {};

Dispatch::Dispatch(Sink& sink, Inbox& inbox, Drain& drain, const ServerLimits& limits)
    : sink_(sink), inbox_(inbox), drain_(drain), limits_(limits) {}

void Dispatch::run() noexcept {
  while (!inbox_.finished()) {
    try {
      serve();
    } catch (...) {
      note("The recorder failed for a moment.");
    }
  }
}

void Dispatch::serve() {
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

// Each failure once: a sink that fails at every tick fails many times in a long run.
void Dispatch::note(const char* failure) noexcept {
  try {
    const std::scoped_lock lock(mutex_);
    last_failure_ = failure;
    if (failures_.size() < most_failures && std::ranges::find(failures_, failure) == failures_.end())
      failures_.emplace_back(failure);
  } catch (...) {  // no memory to say that there is no memory
  }
}

// True where `call` returned. What it threw is kept, to be said once. What it says about the client passes through.
template <class Call>
bool Dispatch::guarded(Call&& call) {
  try {
    call();
    return true;
  } catch (const BrokenClient&) {
    throw;
  } catch (const std::exception& error) {
    note(error.what());
  } catch (...) {
    note("The recorder failed and gives no reason.");
  }
  return false;
}

template <class Call>
void Dispatch::ask_sink(Call&& call) {
  if (!guarded(call)) throw SinkFailed{};
}

void Dispatch::take(Incoming incoming) noexcept {
  Peer& peer = *incoming.peer;
  try {
    if (const auto* how = std::get_if<ClientEnd>(&incoming.what))
      end(peer, *how);
    else if (std::holds_alternative<ClientGone>(incoming.what))
      gone(peer);
    else
      take(peer, std::get<Frame>(std::move(incoming.what)));
  } catch (const std::exception& error) {
    note(error.what());
    peer.hang_up();
  }
}

void Dispatch::take(Peer& peer, Frame frame) {
  Descriptor file(frame.descriptor);
  if (peer.stage == Peer::Stage::done) return;
  try {
    if (peer.stage == Peer::Stage::connected)
      greet(peer, frame);
    else
      obey(peer, frame, std::move(file));
  } catch (const BrokenInput& error) {
    give_up(peer, fmt::format("refused: {}", error.what()));
  } catch (const SinkFailed&) {
    give_up(peer, "lost: the recorder failed");
  } catch (const std::exception& error) {  // no memory for what it sent
    note(error.what());
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
    greeting.welcome.refusal = last_failure_;
  }
  peer.may_start = greeting.welcome.ask_start;
  if (greeting.welcome.mode == protocol::Mode::off) peer.stage = Peer::Stage::done;
  (void)peer.connection.send(Type::welcome, protocol::encode(greeting.welcome), greeting.anchor.get());
}

void Dispatch::obey(Peer& peer, const Frame& frame, Descriptor file) {
  switch (frame.type) {
    case Type::start:
      return start(peer, frame);
    case Type::layout:
      return layout(peer, frame);
    case Type::step:
      return step(peer, frame);
    case Type::anchor:
    case Type::dump:
      return tensors(peer, frame, std::move(file));
    case Type::event:
      return event(peer, frame);
    case Type::code:
      return code(peer, frame);
    case Type::bye:
      return bye(peer, frame);
    default:
      out_of_turn(frame);
  }
}

void Dispatch::start(Peer& peer, const Frame& frame) {
  if (!std::exchange(peer.may_start, false)) out_of_turn(frame);
  const protocol::Start start = protocol::decode_start(frame.text());
  protocol::Begin begin;
  ask_sink([&] { begin.first_step = sink_.on_start(peer.client, start); });
  (void)peer.connection.send(Type::begin, protocol::encode(begin));
}

void Dispatch::layout(Peer& peer, const Frame& frame) {
  peer.layout = decode_layout(frame.text());
  peer.stage = Peer::Stage::ready;
  peer.may_start = false;
  ask_sink([&] { sink_.on_layout(peer.client, peer.layout); });
}

void Dispatch::tensors(Peer& peer, const Frame& frame, Descriptor file) {
  const std::uint64_t number = protocol::decode_step_number(frame.text()).step;
  if (!file) throw BrokenInput("a file of tensors was announced and none came with it");
  ask_sink([&] {
    if (frame.type == Type::anchor)
      sink_.on_anchor(peer.client, number, std::move(file));
    else
      sink_.on_dump(peer.client, number, std::move(file));
  });
}

void Dispatch::event(Peer& peer, const Frame& frame) {
  const protocol::Notice notice = protocol::decode_notice(frame.text());
  ask_sink([&] { sink_.on_event(peer.client, notice); });
}

void Dispatch::code(Peer& peer, const Frame& frame) {
  const protocol::Code code = protocol::decode_code(frame.text());
  ask_sink([&] { sink_.on_code(peer.client, code); });
}

void Dispatch::step(Peer& peer, const Frame& frame) {
  if (peer.stage != Peer::Stage::ready) out_of_turn(frame);
  StepRecord record = decode_step(frame.payload, peer.layout);
  protocol::Ack ack;
  ask_sink([&] { ack = sink_.on_step(peer.client, std::move(record)); });
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

bool Dispatch::is_known(const Peer& peer) {
  return peer.stage == Peer::Stage::greeted || peer.stage == Peer::Stage::ready;
}

void Dispatch::gone(Peer& peer) {
  if (is_known(peer)) guarded([&] { sink_.on_gone(peer.client); });
}

void Dispatch::end(Peer& peer, const ClientEnd& how) {
  const bool known = is_known(peer);
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
