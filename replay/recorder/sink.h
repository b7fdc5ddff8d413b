// What becomes of the frames: the seam between the server, which knows sockets and processes, and what a verb does with
// a session's messages. RunRecorder (run_recorder.h) writes them into a run directory; a replay compares them.
//
// All calls come from one thread, the server's: the only one that may touch HDF5. While a call runs, the sockets are
// drained by another thread, so a call may take its time; but the trainer waits when it is max_ahead steps ahead.
// For each client, in order: on_hello, then any of the others, then on_end, exactly once each for the first and
// last; a client whose hello is answered `off` gets no other call.
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <optional>
#include <string>

#include "replay/recorder/descriptor.h"
#include "replay/recorder/protocol.h"
#include "replay/run/error.h"
#include "replay/run/record.h"

namespace samestep {

// One session of a training process: a connection.
struct Client {
  std::uint64_t number = 0;  // counts up from 0 in the order of connecting
  pid_t pid = 0;             // of the process, as the kernel says it (0: unknown)
  protocol::Hello hello;
};

// The rank that a process goes by: the one it says, else the next that is not `taken` by another which lives. A replay
// must number processes as the recording did.
template <typename Taken>
[[nodiscard]] std::uint32_t next_free_rank(std::uint32_t asked, const Taken& taken) {
  while (taken(asked)) ++asked;
  return asked;
}

// The answer to a hello.
struct Greeting {
  protocol::Welcome welcome;
  Descriptor anchor;  // where welcome.has_anchor: a file or memfd holding the safetensors, read from offset 0
};

// How a client's connection ended.
struct ClientEnd {
  // "closed" (or what bye said), "killed by signal 9", "exited with code 3" (it went without a bye), "lost" (nothing is
  // known), "refused: <why>" (it sent something that is not a valid frame or message).
  std::string how;
  bool said_bye = false;
  std::uint64_t steps = 0;  // that the session says it has sent; only where said_bye
};

// Thrown by a sink about what a client sent: that client is refused and ends, the others go on. Whatever else a sink
// throws is its own failure.
class BrokenClient : public BrokenInput {
 public:
  using BrokenInput::BrokenInput;
};

class Sink {
 public:
  virtual ~Sink() = default;

  virtual Greeting on_hello(const Client& client) = 0;
  // Only where Welcome.ask_start, at most once, before the first layout. Returns the number of the session's first
  // step.
  virtual std::uint64_t on_start(const Client& client, const protocol::Start& start) = 0;
  // Before the client's first step and whenever its table of tensors changes.
  virtual void on_layout(const Client& client, const Layout& layout) = 0;
  // `record` fits the client's last layout. The server sends the answer. After `off` it closes the connection; on_end
  // still follows.
  virtual protocol::Ack on_step(const Client& client, StepRecord&& record) = 0;
  // A whole safetensors file of the state after `step` updates. Not checked yet.
  virtual void on_anchor(const Client& client, std::uint64_t step, Descriptor file) = 0;
  // The tensors of step `step`, asked for by an earlier answer or by Welcome.dump_step.
  virtual void on_dump(const Client& client, std::uint64_t step, Descriptor file) = 0;
  virtual void on_event(const Client& client, const protocol::Notice& notice) = 0;
  // The code that the program has loaded: paths that it names, nothing checked but their number and length.
  virtual void on_code(const Client&, const protocol::Code&) {}
  // The client can send nothing more (its process has ended, or it hung up) and all that it sent has been given. How it
  // ended is not known yet; on_end follows when it is. A client that ends with a bye or is refused gets no such call.
  virtual void on_gone(const Client&) {}
  virtual void on_end(const Client& client, const ClientEnd& end) = 0;
  // About once a second, and at least that often under load: progress lines, what is written in batches.
  virtual void on_tick() {}
};

}  // namespace samestep
