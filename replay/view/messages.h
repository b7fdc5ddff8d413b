// What a view's first process and its maker tell each other, over a pair of SOCK_SEQPACKET sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace samestep {

struct ViewMessage {
  enum class Kind : char {
    // From inside.
    unmapped = 'u',     // a user namespace was made; value: the process whose ids are to be mapped
    refused = 'r',      // text: which step, and why
    not_started = 'n',  // value: the errno that exec gave
    started = 's',
    ended = 'e',  // value: the command's status as wait(2) gives it
    // To inside.
    mapped = 'm',
    signal = 'k',  // value: its number, for the command
  };
  Kind kind = Kind::refused;
  std::int32_t value = 0;
  std::string text = {};  // cut to 2 KiB
};

// False where nobody listens any more.
bool send(int socket, const ViewMessage& message);
// Waits for the next one; nullopt where the other side has gone, or sent what is none.
[[nodiscard]] std::optional<ViewMessage> receive(int socket);

}  // namespace samestep
