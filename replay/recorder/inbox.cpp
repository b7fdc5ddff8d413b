#include "replay/recorder/inbox.h"

#include <unistd.h>

#include <utility>

namespace samestep {

namespace {

std::size_t size_of(const Incoming& incoming) {
  const auto* frame = std::get_if<protocol::Frame>(&incoming.what);
  return frame == nullptr ? 0 : frame->payload.size();
}

}  // namespace

Inbox::~Inbox() {
  for (const Incoming& incoming : items_) {
    const auto* frame = std::get_if<protocol::Frame>(&incoming.what);
    if (frame != nullptr && frame->descriptor >= 0) ::close(frame->descriptor);
  }
}

bool Inbox::has_room() const {
  const std::scoped_lock lock(mutex_);
  return !full();
}

void Inbox::push(Incoming incoming) {
  {
    const std::scoped_lock lock(mutex_);
    const std::size_t size = size_of(incoming);
    items_.push_back(std::move(incoming));
    bytes_ += size;
  }
  arrived_.notify_one();
}

std::optional<Incoming> Inbox::pop(std::chrono::steady_clock::time_point until, bool& freed) {
  std::unique_lock lock(mutex_);
  arrived_.wait_until(lock, until, [&] { return closed_ || !items_.empty(); });
  if (items_.empty()) return std::nullopt;
  const bool was_full = full();
  Incoming incoming = std::move(items_.front());
  items_.pop_front();
  bytes_ -= size_of(incoming);
  freed = was_full && !full();
  return incoming;
}

void Inbox::close() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  arrived_.notify_all();
}

bool Inbox::finished() const {
  const std::scoped_lock lock(mutex_);
  return closed_ && items_.empty();
}

}  // namespace samestep
