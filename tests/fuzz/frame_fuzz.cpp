// Whatever a client sends, the recorder's end answers with a frame, an end, or BrokenInput.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "replay/recorder/protocol.h"
#include "replay/run/error.h"

namespace {

using samestep::protocol::Connection;
using samestep::protocol::Frame;
using samestep::protocol::Type;

template <class Decode>
void attempt(Decode&& decode) {
  try {
    (void)decode();
  } catch (const samestep::BrokenInput&) {
  }
}

void decode_all(std::string_view text) {
  using namespace samestep::protocol;
  attempt([&] { return decode_hello(text); });
  attempt([&] { return decode_welcome(text); });
  attempt([&] { return decode_start(text); });
  attempt([&] { return decode_ack(text); });
  attempt([&] { return decode_begin(text); });
  attempt([&] { return decode_step_number(text); });
  attempt([&] { return decode_bye(text); });
  attempt([&] { return decode_notice(text); });
  attempt([&] { return decode_code(text); });
}

// A table of tensors, a line, a record: what a client says of itself decides how its steps are read.
void decode_session(std::span<const std::uint8_t> input) {
  const auto line = std::ranges::find(input, '\n');
  const std::string_view table(reinterpret_cast<const char*>(input.data()),
                               static_cast<std::size_t>(line - input.begin()));
  const auto rest = line == input.end() ? std::span<const std::uint8_t>() : std::span(line + 1, input.end());
  attempt([&] { return samestep::decode_step(std::as_bytes(rest), samestep::decode_layout(table)); });
}

void receive_all(std::span<const std::uint8_t> input) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return;
  // Of what does not fit the socket's buffer nothing is lost that matters: it is the beginning that is parsed.
  (void)::send(ends[0], input.data(), input.size(), MSG_DONTWAIT);
  ::close(ends[0]);
  Connection connection(ends[1]);
  attempt([&] {
    while (const auto frame = connection.receive()) decode_all(frame->text());
    return 0;
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> input(data, size);
  receive_all(input);
  decode_all({reinterpret_cast<const char*>(data), size});
  decode_session(input);
  return 0;
}
