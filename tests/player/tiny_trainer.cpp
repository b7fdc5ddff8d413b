// A training program of a few bytes (tests/run/tiny_run) that speaks frames and whose tensors are real: it cuts anchors
// that a recorder can check against its log, and takes one up in a replay. Its words:
//   --steps N             how many there are (default 40)
//   --wrong-once STEP     that step's loss is wrong while recording, never in a replay
//   --wait-at STEP FILE   before that step it waits until FILE is there
//   --back-to STEP        a later session goes on from there, not from where the run ends
//   --say WORD            prints it, so that two commands can be told apart
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "replay/checkpoint/safetensors.h"
#include "replay/recorder/protocol.h"
#include "tests/run/tiny_run.h"

namespace {

using namespace samestep;
using protocol::Type;

struct Words {
  std::uint64_t steps = 40;
  std::uint64_t wrong_once = ~std::uint64_t{0};
  std::uint64_t wait_at = ~std::uint64_t{0};
  std::string wait_for;
  std::optional<std::uint64_t> back_to;
};

Words words_of(int argc, char** argv) {
  Words words;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--steps") words.steps = std::stoull(argv[++i]);
    if (name == "--wrong-once") words.wrong_once = std::stoull(argv[++i]);
    if (name == "--wait-at") {
      words.wait_at = std::stoull(argv[++i]);
      words.wait_for = argv[++i];
    }
    if (name == "--back-to") words.back_to = std::stoull(argv[++i]);
    if (name == "--say") std::puts(argv[++i]);
  }
  std::fflush(stdout);
  return words;
}

// Every tensor of the anchor is the training's own: what a restart would take up.
bool holds(const protocol::Frame& welcome, const TinyTraining& training) {
  const MappedFile file(welcome.descriptor, "the anchor");
  const Safetensors given = parse_safetensors(file.bytes(), "the anchor");
  const std::string text = training.anchor();
  const Safetensors own = parse_safetensors(std::as_bytes(std::span(text)), "the state");
  for (const TensorView& tensor : own.tensors) {
    const TensorView* other = given.find(tensor.name);
    if (other == nullptr || digest(other->data) != digest(tensor.data)) return false;
  }
  return true;
}

bool send_anchor(protocol::Connection& connection, const TinyTraining& training) {
  const int file = ::memfd_create("anchor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  const std::string bytes = training.anchor();
  if (::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) return false;
  const bool sent = connection.send(Type::anchor, protocol::encode(protocol::StepNumber{training.updates()}), file);
  ::close(file);
  return sent;
}

void make_wrong(StepRecord& record, const Layout& layout) {
  LaneRecord& loss = record.of(Lane::loss);
  loss.items.at(0).digest.bytes[0] ^= 1;
  loss.digest = lane_digest(Lane::loss, loss, layout.of(Lane::loss));
}

// False where the training is over: the recorder has gone, or said stop.
bool train_step(protocol::Connection& connection, const protocol::Welcome& welcome, TinyTraining& training,
                const Words& words) {
  while (training.updates() == words.wait_at && !std::filesystem::exists(words.wait_for)) ::usleep(2000);
  const bool anchor = welcome.anchor_every != 0 && (training.updates() + 1) % welcome.anchor_every == 0;
  StepRecord record = training.step(anchor);
  const bool recording = welcome.mode == protocol::Mode::record;
  if (recording && record.step == words.wrong_once) make_wrong(record, training.layout());
  if (!connection.send(Type::step, encode(record))) return false;
  if (anchor && !send_anchor(connection, training)) return false;
  const auto frame = connection.receive();
  return frame && protocol::decode_ack(frame->text()).answer == protocol::Ack::Answer::go_on;
}

// Where a session goes on: what the recorder says of a first step with these weights.
std::optional<std::uint64_t> asked_start(protocol::Connection& connection, const Digest& weights_in) {
  if (!connection.send(Type::start, protocol::encode(protocol::Start{weights_in, std::nullopt}))) return std::nullopt;
  const auto frame = connection.receive();
  return frame ? std::optional(protocol::decode_begin(frame->text()).first_step) : std::nullopt;
}

int train(protocol::Connection& connection, const protocol::Frame& frame, const Words& words) {
  const protocol::Welcome welcome = protocol::decode_welcome(frame.text());
  TinyTraining training;
  // A checkpoint of its own: it goes on where the run stands.
  const std::uint64_t begin = welcome.ask_start ? words.back_to.value_or(welcome.first_step) : welcome.first_step;
  while (training.updates() < begin) (void)training.step();
  if (welcome.has_anchor && !holds(frame, training)) return 3;
  if (welcome.ask_start) {
    TinyTraining ahead = training;
    if (asked_start(connection, ahead.step().of(Lane::weights_in).digest) != training.updates()) return 4;
  }
  if (!connection.send(Type::layout, encode(training.layout()))) return 1;
  const std::uint64_t end = welcome.mode == protocol::Mode::replay ? std::min(words.steps, welcome.to) : words.steps;
  while (training.updates() < end && train_step(connection, welcome, training, words)) {
  }
  (void)connection.send(Type::bye, protocol::encode(protocol::Bye{"closed", training.updates()}));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Words words = words_of(argc, argv);
  const char* socket = std::getenv(protocol::socket_variable);
  if (socket == nullptr) return 0;
  auto connection = protocol::Connection::connect(socket);
  protocol::Hello hello;
  hello.pid = ::getpid();
  hello.program = "tiny_trainer";
  if (!connection || !connection->send(Type::hello, protocol::encode(hello))) return 1;
  const auto frame = connection->receive();
  return frame ? train(*connection, *frame, words) : 1;
}
