#include "replay/view/messages.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace samestep {
namespace {

constexpr std::size_t head = 1 + sizeof(std::int32_t);
constexpr std::size_t most_text = 2048;

}  // namespace

bool send(int socket, const ViewMessage& message) {
  std::string bytes(head, static_cast<char>(message.kind));
  std::memcpy(bytes.data() + 1, &message.value, sizeof message.value);
  bytes += message.text.substr(0, most_text);
  ssize_t sent = 0;
  do {
    sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(bytes.size());
}

std::optional<ViewMessage> receive(int socket) {
  std::array<char, head + most_text> bytes{};
  ssize_t got = 0;
  do {
    got = ::recv(socket, bytes.data(), bytes.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got < static_cast<ssize_t>(head)) return std::nullopt;
  ViewMessage message;
  message.kind = static_cast<ViewMessage::Kind>(bytes[0]);
  std::memcpy(&message.value, bytes.data() + 1, sizeof message.value);
  message.text.assign(bytes.data() + head, static_cast<std::size_t>(got) - head);
  return message;
}

}  // namespace samestep
