#include "replay/recorder/drain.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "replay/run/error.h"

namespace samestep {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int frames_a_turn = 64;                  // so that a flood from one client does not starve the others
constexpr std::chrono::milliseconds ask_again{2};  // how a process ended is known shortly after its socket closes

Descriptor take_reserve() {
  return Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

Descriptor accept_from(const Descriptor& listener) {
  return Descriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

}  // namespace

Drain::Drain(Descriptor listener, Inbox& inbox, const ServerLimits& limits)
    : listener_(std::move(listener)),
      inbox_(inbox),
      limits_(limits),
      waker_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      reserve_(take_reserve()) {
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
  std::vector<pollfd> entries{{waker_.get(), POLLIN, 0}};
  if (!accepts_nothing_) entries.push_back({listener_.get(), POLLIN, 0});
  int timeout = accepts_nothing_ ? static_cast<int>(limits_.tick.count()) : -1;
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
  if (!reserve_) reserve_ = take_reserve();
  accepts_nothing_ = false;
  for (;;) {
    if (Descriptor socket = accept_from(listener_)) {
      add_peer(std::move(socket));
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || !turn_one_away()) return;
  }
}

void Drain::add_peer(Descriptor socket) {
  // Non-blocking only for accept's sake: answers are sent with a time limit (Peer), reads never wait anyway.
  ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) & ~O_NONBLOCK);
  peers_.push_back(std::make_shared<Peer>(next_number_++, std::move(socket)));
}

// Without a descriptor for it a connection stays in the listener's queue: poll returns at once again, and the client
// waits for an answer that never comes. So it is taken with the reserve and closed; the client trains on unrecorded.
// False where there is none to turn away, or no way to.
bool Drain::turn_one_away() {
  const bool tries = static_cast<bool>(reserve_);
  reserve_.reset();
  const bool taken = tries && accept_from(listener_);
  accepts_nothing_ = !taken && !(tries && errno == EAGAIN);
  if (taken) ++turned_away_;
  reserve_ = take_reserve();
  return taken;
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
