// Frames on a socket: the byte layout at the top of protocol.h.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "replay/recorder/protocol.h"
#include "replay/run/error.h"

namespace samestep::protocol {

namespace {

constexpr std::uint32_t magic = 0x31465353;           // "SSF1"
constexpr std::size_t growth = std::size_t{1} << 20;  // a payload's memory grows by at most this before its bytes come
constexpr std::size_t descriptors_per_call = 8;

template <class Integer>
void put(std::span<std::byte> head, std::size_t at, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) head[at + i] = static_cast<std::byte>(value >> (8 * i));
}

template <class Integer>
Integer get(std::span<const std::byte> head, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) value |= static_cast<std::uint64_t>(head[at + i]) << (8 * i);
  return static_cast<Integer>(value);
}

std::uint64_t checksum(std::span<const std::byte> payload) {
  const Digest whole = digest(payload);
  return get<std::uint64_t>(std::as_bytes(std::span(whole.bytes)), 0);
}

bool known(std::uint16_t type) {
  return (type >= static_cast<std::uint16_t>(Type::hello) && type <= static_cast<std::uint16_t>(Type::code)) ||
         (type >= static_cast<std::uint16_t>(Type::welcome) && type <= static_cast<std::uint16_t>(Type::ack));
}

std::array<std::byte, head_size> head_of(Type type, std::span<const std::byte> payload) {
  std::array<std::byte, head_size> head{};
  put(head, 0, magic);
  put(head, 4, version);
  put(head, 6, static_cast<std::uint16_t>(type));
  put(head, 8, std::uint64_t{payload.size()});
  put(head, 16, checksum(payload));
  return head;
}

void close_if_open(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

// The control part of a message that carries one descriptor.
struct Control {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> bytes{};

  void attach(msghdr& message, int descriptor) {
    message.msg_control = bytes.data();
    message.msg_controllen = bytes.size();
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
  }
};

// Moves the vector on by `sent` bytes.
void advance(std::array<iovec, 2>& parts, std::size_t sent) {
  for (iovec& part : parts) {
    const std::size_t of_this = std::min(sent, part.iov_len);
    part.iov_base = static_cast<char*>(part.iov_base) + of_this;
    part.iov_len -= of_this;
    sent -= of_this;
  }
}

[[noreturn]] void reject(const std::string& why) {
  throw BrokenInput(fmt::format("Reading a frame from the training program: {}. The connection is given up.", why));
}

}  // namespace

// --- FrameReader ------------------------------------------------------------------------------------------------

FrameReader::~FrameReader() {
  close_if_open(frame_.descriptor);
}

FrameReader::FrameReader(FrameReader&& other) noexcept {
  *this = std::move(other);
}

FrameReader& FrameReader::operator=(FrameReader&& other) noexcept {
  std::swap(head_, other.head_);
  std::swap(received_, other.received_);
  std::swap(length_, other.length_);
  std::swap(frame_, other.frame_);
  return *this;
}

FrameReader::Progress FrameReader::read(int socket) {
  while (received_ < head_size || received_ < head_size + length_) {
    const std::span<std::byte> target = room();
    iovec part{target.data(), target.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * descriptors_per_call)> control;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Progress::would_block;
    if (got <= 0) return Progress::ended;
    keep_descriptors(message);
    received_ += static_cast<std::size_t>(got);
    if (received_ == head_size) check_head();
  }
  check_payload();
  return Progress::complete;
}

Frame FrameReader::take() {
  received_ = 0;
  length_ = 0;
  return std::exchange(frame_, {});
}

std::span<std::byte> FrameReader::room() {
  if (received_ < head_size) return std::span(head_).subspan(received_);
  const std::size_t have = received_ - head_size;
  frame_.payload.resize(static_cast<std::size_t>(std::min<std::uint64_t>(length_, have + growth)));
  return std::span(frame_.payload).subspan(have);
}

// Whatever has come is owned at once, so that nothing leaks when it is refused.
void FrameReader::keep_descriptors(msghdr& message) {
  bool refused = (message.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      if (frame_.descriptor < 0 && received_ == 0) {
        frame_.descriptor = descriptor;
      } else {
        close_if_open(descriptor);
        refused = true;
      }
    }
  }
  if (refused) reject("a descriptor came that no frame announces");
}

void FrameReader::check_head() {
  const auto found_magic = get<std::uint32_t>(head_, 0);
  const auto found_version = get<std::uint16_t>(head_, 4);
  const auto type = get<std::uint16_t>(head_, 6);
  length_ = get<std::uint64_t>(head_, 8);
  if (found_magic != magic) reject(fmt::format("its head begins with {:#010x}, not {:#010x}", found_magic, magic));
  if (found_version != version)
    reject(fmt::format("its version is {}, this samestep speaks {}; rebuild the older end", found_version, version));
  if (!known(type)) reject(fmt::format("its type {} is not known", type));
  if (length_ > max_payload) {
    const std::uint64_t claimed = std::exchange(length_, 0);
    reject(fmt::format("its length {} is more than {}", claimed, max_payload));
  }
  frame_.type = static_cast<Type>(type);
}

void FrameReader::check_payload() const {
  if (checksum(frame_.payload) != get<std::uint64_t>(head_, 16)) reject("its checksum does not fit its contents");
}

// --- Connection -------------------------------------------------------------------------------------------------

Connection::Connection(int socket) : socket_(socket) {}

Connection::~Connection() {
  close_if_open(socket_);
}

Connection::Connection(Connection&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), timed_out_(other.timed_out_), reader_(std::move(other.reader_)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(timed_out_, other.timed_out_);
  std::swap(reader_, other.reader_);
  return *this;
}

std::optional<Connection> Connection::connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  Connection connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connection.socket_ < 0) return std::nullopt;
  int result = -1;
  do {
    result = ::connect(connection.socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result < 0 && errno == EINTR);
  if (result < 0 && errno != EISCONN) return std::nullopt;
  return connection;
}

bool Connection::send(Type type, std::span<const std::byte> payload, int descriptor) {
  if (payload.size() > max_payload)
    throw BrokenInput(fmt::format("Sending a frame: its {} bytes are more than {}.", payload.size(), max_payload));
  auto head = head_of(type, payload);
  std::array<iovec, 2> parts{iovec{head.data(), head.size()},
                             iovec{const_cast<std::byte*>(payload.data()), payload.size()}};
  Control control;
  std::size_t left = head.size() + payload.size();
  bool announced = descriptor < 0;
  while (left > 0) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    if (!announced) control.attach(message, descriptor);
    const ssize_t sent = ::sendmsg(socket_, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    announced = true;
    left -= static_cast<std::size_t>(sent);
    advance(parts, static_cast<std::size_t>(sent));
  }
  return true;
}

bool Connection::send(Type type, std::string_view payload, int descriptor) {
  return send(type, std::as_bytes(std::span(payload)), descriptor);
}

namespace {

using Clock = std::chrono::steady_clock;

// Waits until `socket` has bytes or an end. False where `deadline` passed first.
bool wait_readable(int socket, std::optional<Clock::time_point> deadline) {
  for (;;) {
    int milliseconds = -1;
    if (deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
      milliseconds = static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30));
    }
    pollfd entry{socket, POLLIN, 0};
    const int ready = ::poll(&entry, 1, milliseconds);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace

std::optional<Frame> Connection::receive(std::optional<std::chrono::milliseconds> timeout) {
  std::optional<Clock::time_point> deadline;
  if (timeout) deadline = Clock::now() + *timeout;
  timed_out_ = false;
  for (;;) {
    const FrameReader::Progress progress = reader_.read(socket_);
    if (progress == FrameReader::Progress::complete) return reader_.take();
    if (progress == FrameReader::Progress::ended) return std::nullopt;
    if (!wait_readable(socket_, deadline)) {
      timed_out_ = true;
      return std::nullopt;
    }
  }
}

}  // namespace samestep::protocol
