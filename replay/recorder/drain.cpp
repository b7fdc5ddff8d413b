#include "replay/recorder/drain.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "replay/run/error.h"

namespace samestep {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int frames_a_turn = 64;                  // so that a flood from one client does not starve the others
constexpr std::chrono::milliseconds ask_again{2};  // how a process ended is known shortly after its socket closes

}  // namespace

Drain::Drain(Descriptor listener, Inbox& inbox, const ServerLimits& limits)
    : listener_(std::move(listener)), inbox_(inbox), limits_(limits), waker_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!waker_) throw BrokenInput(fmt::format("Starting the recorder: no eventfd ({}).", std::strerror(errno)));
}

void Drain::wake() const {
  const std::uint64_t one = 1;
  // A full counter wakes just as well.
  [[maybe_unused]] const ssize_t written = ::write(waker_.get(), &one, sizeof one);
}

void Drain::stop() {
  stopping_ = true;
  wake();
}

void Drain::run() noexcept {
  try {
    serve();
    take_the_rest();
  } catch (...) {
    give_up();
  }
  live_ = 0;
  inbox_.close();
}

// Without memory for so little as a list of sockets: the clients find their connections closed and train on.
void Drain::give_up() noexcept {
  for (const auto& peer : peers_) peer->hang_up();
  peers_.clear();
  listener_.reset();
}

void Drain::serve() {
  while (!stopping_) {
    count_living();
    wait();
    accept_all();
    read_all();
    end_those_that_ended(false);
  }
}

// What was sent before the end is in the sockets' buffers, even of connections not accepted yet.
void Drain::take_the_rest() {
  const auto deadline = Clock::now() + limits_.farewell;
  accept_all();
  do {
    read_all();
    end_those_that_ended(Clock::now() > deadline);
    if (!peers_.empty()) std::this_thread::sleep_for(ask_again);
  } while (!peers_.empty());
}

void Drain::wait() {
  const bool room = inbox_.has_room();
  std::vector<pollfd> entries{{waker_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
  int timeout = -1;
  for (const auto& peer : peers_) {
    if (peer->closing_since) {
      timeout = static_cast<int>(ask_again.count());
      continue;
    }
    if (room) entries.push_back({peer->socket(), POLLIN, 0});
    // A data loader's worker may hold the socket open after the trainer has died.
    if (room && peer->process() >= 0) entries.push_back({peer->process(), POLLIN, 0});
  }
  if (::poll(entries.data(), entries.size(), timeout) <= 0) return;
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(waker_.get(), &count, sizeof count);
}

void Drain::accept_all() {
  for (;;) {
    Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    // Non-blocking only for accept's sake: answers are sent with a time limit (Peer), reads never wait anyway.
    ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) & ~O_NONBLOCK);
    peers_.push_back(std::make_shared<Peer>(next_number_++, std::move(socket)));
  }
}

// A process that starts when another one has ended takes its place (its rank): what is left of the old one must come
// first. It was accepted earlier, so it is read earlier; as long as it is not read to its end, newcomers wait.
void Drain::read_all() {
  bool one_is_ending = false;
  for (const auto& peer : peers_) {
    if (peer->closing_since || (one_is_ending && !peer->heard)) continue;
    one_is_ending |= !read(peer);
  }
}

// False where the peer's process has ended and not all that it sent is read yet.
bool Drain::read(const std::shared_ptr<Peer>& peer) {
  try {
    return read_frames(peer);
  } catch (const std::exception& error) {  // bytes that are no frame, or no memory for one
    peer->broken = error.what();
    peer->closing_since = Clock::now();
    peer->hang_up();
    return true;
  }
}

bool Drain::read_frames(const std::shared_ptr<Peer>& peer) {
  // Asked before reading: what a process sent before it ended is then surely in the socket.
  const bool ended = peer->process_ended();
  for (int i = 0; i < frames_a_turn; ++i) {
    if (!inbox_.has_room()) return !ended;
    const auto progress = peer->reader.read(peer->socket());
    if (progress == protocol::FrameReader::Progress::complete) {
      peer->heard = true;
      inbox_.push({peer, peer->reader.take()});
      continue;
    }
    if (progress == protocol::FrameReader::Progress::ended || ended) close(peer);
    return true;
  }
  return !ended;
}

void Drain::close(const std::shared_ptr<Peer>& peer) {
  peer->closing_since = Clock::now();
  inbox_.push({peer, ClientGone{}});
}

void Drain::end_those_that_ended(bool now) {
  const auto ended = [&](const std::shared_ptr<Peer>& peer) {
    if (!peer->closing_since) return now;
    if (now || !peer->broken.empty() || peer->said_bye || peer->how_process_ended()) return true;
    return Clock::now() - *peer->closing_since > limits_.farewell;
  };
  const auto first =
      std::stable_partition(peers_.begin(), peers_.end(), [&](const auto& peer) { return !ended(peer); });
  std::for_each(first, peers_.end(), [&](const auto& peer) { finish(peer); });
  peers_.erase(first, peers_.end());
}

void Drain::finish(const std::shared_ptr<Peer>& peer) {
  ClientEnd end;
  end.how = peer->how_process_ended().value_or("lost");
  if (!peer->broken.empty()) end.how = "refused: " + peer->broken;
  inbox_.push({peer, std::move(end)});
}

void Drain::count_living() {
  live_ = static_cast<std::size_t>(std::count_if(
      peers_.begin(), peers_.end(), [](const auto& peer) { return !peer->closing_since && !peer->said_bye; }));
}

}  // namespace samestep
